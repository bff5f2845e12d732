import { type CommandSpec, type FlagSpec, type ProgramSpec, helpFlag } from './args.ts';

const flagForm = (flag: FlagSpec): string => {
  const long = flag.kind === 'switch' && flag.default === 'true' ? `--[no-]${flag.name}` : `--${flag.name}`;
  const value = flag.kind === 'switch' ? '' : `=${flag.name.toUpperCase()}`;
  return `${flag.short === undefined ? '    ' : `-${flag.short}, `}${long}${value}`;
};

function twoColumns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.min(34, Math.max(0, ...rows.map(([a]) => a.length)) + 2);
  const line = ([a, b]: readonly [string, string]): string =>
    a.length + 2 > left ? `  ${a}\n  ${' '.repeat(left)}${b}\n` : `  ${a.padEnd(left)}${b}\n`;
  return rows.map(line).join('');
}

const flagRows = (flags: readonly FlagSpec[]): string =>
  twoColumns(
    flags
      .filter((f) => f.hidden !== true && f.refuse === undefined)
      .map((f) => [flagForm(f), f.env === undefined ? f.help : `${f.help} [$${f.env.join(', $')}]`]),
  );

const argForms = (command: CommandSpec): string =>
  (command.args ?? [])
    .map((a) => (a.required === true ? `<${a.name}>` : `[<${a.name}>]`) + (a.rest === true ? '...' : ''))
    .join(' ');

const shown = (program: ProgramSpec): readonly CommandSpec[] =>
  program.commands.filter((c) => c.hidden !== true && c.refuse === undefined);

/** Help for the program, for one command, or for a group of them (`users`). */
export function usage(program: ProgramSpec, name: string | undefined): string {
  const command = program.commands.find((c) => c.name === name || c.aliases?.includes(name ?? ''));
  if (command !== undefined) return commandUsage(program, command);
  const group = name === undefined ? [] : shown(program).filter((c) => c.name.startsWith(`${name} `));
  const commands = group.length > 0 ? group : shown(program);
  const rows = commands.map((c): readonly [string, string] => [`${c.name} ${argForms(c)}`.trimEnd(), c.help]);
  const head =
    group.length > 0
      ? `${program.name} ${name ?? ''} <subcommand>`
      : `${program.name} [<flags>] <command> [<args> ...]`;
  return `Usage: ${head}\n\n${program.help}\n\nFlags:\n${flagRows([helpFlag, ...program.flags])}\nCommands:\n${twoColumns(rows)}`;
}

function commandUsage(program: ProgramSpec, command: CommandSpec): string {
  const args = (command.args ?? []).map((a): readonly [string, string] => [a.name, a.help]);
  return [
    `Usage: ${`${program.name} ${command.name} [<flags>] ${argForms(command)}`.trimEnd()}\n\n${command.help}\n\n`,
    `Flags:\n${flagRows([helpFlag, ...program.flags, ...(command.flags ?? [])])}`,
    args.length === 0 ? '' : `\nArgs:\n${twoColumns(args)}`,
    (command.aliases ?? []).length === 0 ? '' : `\nAliases: ${(command.aliases ?? []).join(', ')}\n`,
  ].join('');
}
