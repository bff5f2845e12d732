import { CodedError } from '../base/errors.ts';
import { parsePass } from './flag-pass.ts';
import type { CommandSpec, FlagSpec, ProgramSpec } from './program-spec.ts';

export type { ArgSpec, CommandSpec, FlagSpec, ProgramSpec } from './program-spec.ts';

/** What the user asked for. Asking for a name that the command does not declare is a bug and throws. */
export interface Invocation {
  readonly command: string;
  /** The value of a `value` flag: given, from the environment, or the default. */
  text(flag: string): string | undefined;
  on(flag: string): boolean;
  list(flag: string): readonly string[];
  /** True when it is on the command line (not in the environment). */
  given(flag: string): boolean;
  arg(name: string): string | undefined;
  rest(name: string): readonly string[];
}

export type Parsed =
  | { readonly kind: 'run'; readonly invocation: Invocation }
  /** `help [command]`, `--help`; `command` undefined for the whole program. */
  | { readonly kind: 'help'; readonly command: string | undefined }
  /** Nothing, or only a group, was named: usage goes to stderr and the exit status is 1. */
  | { readonly kind: 'incomplete'; readonly command: string | undefined };

type Environment = Readonly<Record<string, string | undefined>>;

const wrong = (message: string): CodedError => new CodedError('bad_request', message);

export const helpFlag: FlagSpec = {
  name: 'help',
  short: 'h',
  kind: 'switch',
  help: 'Show help (also: help [<command>]).',
};

/**
 * Reads tokens left to right; knows the command as soon as its words have been seen. yargs parses the flags,
 * one pass up to each operand. Forms that its parser does not know are added here: commands of two words,
 * `-p22`, and operands after which everything belongs to the remote command.
 */
class Reader {
  readonly values = new Map<string, string[]>();
  readonly operands: string[] = [];
  command: CommandSpec | undefined;
  words: string[] = [];
  help = false;
  private readonly program: ProgramSpec;
  private left: readonly string[];

  constructor(program: ProgramSpec, argv: readonly string[]) {
    this.program = program;
    this.left = argv;
  }

  read(): void {
    while (this.left.length > 0) {
      if (this.left[0] === '--') {
        for (const operand of this.left.slice(1)) this.word(operand);
        return;
      }
      const { values, stoppedAt } = parsePass(this.flags(), this.left);
      for (const flag of this.flags()) this.take(flag, values[flag.name]);
      const operand = this.left[stoppedAt];
      this.left = this.left.slice(stoppedAt + (operand === '--' ? 0 : 1));
      if (operand === undefined || operand === '--') continue;
      this.word(operand);
      if (this.command?.stopAtOperand === true && this.operands.length > 0) {
        this.operands.push(...(this.left[0] === '--' ? this.left.slice(1) : this.left));
        return;
      }
    }
  }

  flags(): readonly FlagSpec[] {
    return [...(this.command?.flags ?? []), ...this.program.flags, helpFlag];
  }

  private word(token: string): void {
    if (this.command !== undefined) {
      this.operands.push(token);
      return;
    }
    this.words.push(token);
    const path = this.words.join(' ');
    this.command = findCommand(this.program, path);
    // Checked before its flags are read, which this release does not know.
    if (this.command?.refuse !== undefined && !this.help)
      throw new CodedError(
        'unavailable',
        `'${this.program.name} ${this.command.name}' ${this.command.refuse}`,
      );
    if (this.command !== undefined || this.words[0] === 'help') return;
    if (!this.program.commands.some((c) => namesOf(c).some((name) => name.startsWith(`${path} `))))
      throw wrong(`expected command but got "${token}"`);
  }

  private take(flag: FlagSpec, found: unknown): void {
    if (found === undefined) return;
    if (flag.refuse !== undefined) throw new CodedError('unavailable', `--${flag.name} ${flag.refuse}`);
    if (flag === helpFlag) {
      this.help = true;
      return;
    }
    const given: unknown[] = [found].flat();
    if (flag.kind === 'switch') {
      this.values.set(flag.name, [given.at(-1) === true ? 'true' : 'false']);
      return;
    }
    const texts = given.map((value) => {
      if (typeof value !== 'string') throw wrong(`unknown long flag '--no-${flag.name}'`);
      return value;
    });
    const all = [...(this.values.get(flag.name) ?? []), ...texts];
    if (flag.kind === 'value' && all.length > 1) throw wrong(`flag '${flag.name}' cannot be repeated`);
    this.values.set(flag.name, all);
  }
}

const namesOf = (command: CommandSpec): readonly string[] => [command.name, ...(command.aliases ?? [])];

export const findCommand = (program: ProgramSpec, name: string): CommandSpec | undefined =>
  program.commands.find((c) => namesOf(c).includes(name));

/**
 * Reads a command line as the reference does: `--flag=value`, `--flag value`, `--[no-]switch`, `-p22`, `-tN`,
 * `--`; flags of the program may come before or after the command.
 * @throws CodedError `bad_request` for an invalid command line, `unavailable` for flags and commands that
 *   this release refuses by name.
 */
export function parseArgs(program: ProgramSpec, argv: readonly string[], env: Environment): Parsed {
  const reader = new Reader(program, argv);
  reader.read();
  const { command, words } = reader;
  if (words[0] === 'help' && command === undefined) return helpOn(program, words.slice(1).join(' '));
  if (reader.help) return { kind: 'help', command: words.length > 0 ? words.join(' ') : undefined };
  if (command === undefined)
    return { kind: 'incomplete', command: words.length > 0 ? words.join(' ') : undefined };
  return { kind: 'run', invocation: invocationOf(reader, command, env) };
}

function helpOn(program: ProgramSpec, name: string): Parsed {
  if (name === '') return { kind: 'help', command: undefined };
  const known = program.commands.some((c) => namesOf(c).some((n) => n === name || n.startsWith(`${name} `)));
  if (!known) throw wrong(`expected command but got "${name}"`);
  return { kind: 'help', command: name };
}

function invocationOf(reader: Reader, command: CommandSpec, env: Environment): Invocation {
  const flags = reader.flags();
  const specOf = (name: string, kind: FlagSpec['kind']): FlagSpec => {
    const spec = flags.find((f) => f.name === name && f.kind === kind);
    if (spec === undefined) throw new Error(`${command.name} declares no ${kind} flag '${name}'`);
    return spec;
  };
  const resolved = new Map(
    flags.map((flag) => [flag.name, valuesOf(flag, reader.values.get(flag.name), env)]),
  );
  const operands = assignOperands(command, reader.operands);
  const operand = (name: string): readonly string[] => {
    const found = operands.get(name);
    if (found === undefined) throw new Error(`${command.name} declares no argument '${name}'`);
    return found;
  };
  return {
    command: command.name,
    text: (name) => resolved.get(specOf(name, 'value').name)?.[0],
    on: (name) => resolved.get(specOf(name, 'switch').name)?.[0] === 'true',
    list: (name) => resolved.get(specOf(name, 'values').name) ?? [],
    given: (name) => reader.values.has(name),
    arg: (name) => operand(name)[0],
    rest: (name) => operand(name),
  };
}

function valuesOf(flag: FlagSpec, given: string[] | undefined, env: Environment): readonly string[] {
  if (given !== undefined) return checked(flag, given, `--${flag.name}`);
  const variable = flag.env?.find((name) => (env[name] ?? '') !== '');
  if (variable !== undefined) {
    if (flag.refuse !== undefined)
      throw new CodedError('unavailable', `${variable} (environment) ${flag.refuse}`);
    return checked(flag, [env[variable] ?? ''], `${variable} (environment)`);
  }
  if (flag.required === true) throw wrong(`required flag --${flag.name} not provided`);
  return flag.default === undefined ? [] : [flag.default];
}

function checked(flag: FlagSpec, values: readonly string[], shown: string): readonly string[] {
  if (flag.kind === 'switch') return [booleanOf(values[0] ?? '', shown)];
  const choices = flag.choices ?? [];
  const odd = choices.length === 0 ? undefined : values.find((v) => !choices.includes(v));
  if (odd !== undefined)
    throw wrong(`${shown}: enum value must be one of ${choices.join(',')}, got '${odd}'`);
  return values;
}

/**
 * A switch in the environment; empty counts as unset. @throws CodedError `bad_request` for a value that is
 * neither on nor off.
 */
export const switchedOn = (variable: string, env: Environment): boolean =>
  (env[variable] ?? '') !== '' && booleanOf(env[variable] ?? '', `${variable} (environment)`) === 'true';

function booleanOf(text: string, shown: string): string {
  if (/^(1|t|true|yes|on)$/i.test(text)) return 'true';
  if (/^(0|f|false|no|off)$/i.test(text)) return 'false';
  throw wrong(`${shown}: expected true or false, got '${text}'`);
}

function assignOperands(command: CommandSpec, operands: readonly string[]): Map<string, readonly string[]> {
  const left = [...operands];
  const found = new Map<string, readonly string[]>();
  for (const arg of command.args ?? []) {
    const taken = arg.rest === true ? left.splice(0) : left.splice(0, 1);
    if (taken.length === 0 && arg.required === true)
      throw wrong(`required argument '${arg.name}' not provided`);
    found.set(arg.name, taken);
  }
  const extra = left[0];
  if (extra !== undefined) throw wrong(`unexpected ${extra}`);
  return found;
}
