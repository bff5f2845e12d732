import { CodedError } from '../base/errors.ts';

/** `switch` takes no value and knows `--no-name`; `values` may be given several times. */
export interface FlagSpec {
  readonly name: string;
  readonly short?: string;
  readonly kind: 'switch' | 'value' | 'values';
  readonly help: string;
  /** Environment variables that stand in when the flag is not given; the first that is set and not empty. */
  readonly env?: readonly string[];
  readonly choices?: readonly string[];
  /** `true` or `false` for a switch. */
  readonly default?: string;
  readonly required?: boolean;
  readonly hidden?: boolean;
  /** Why this release does not do it: giving the flag is then an error that says so. */
  readonly refuse?: string;
}

export interface ArgSpec {
  readonly name: string;
  readonly help: string;
  readonly required?: boolean;
  /** Takes all that follows. Only for the last one. */
  readonly rest?: boolean;
}

export interface CommandSpec {
  /** `ssh`, or with its group: `users add`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly help: string;
  readonly flags?: readonly FlagSpec[];
  readonly args?: readonly ArgSpec[];
  readonly hidden?: boolean;
  /** What follows the first operand belongs to somebody else: `ssh host ls -l`. */
  readonly stopAtOperand?: boolean;
  readonly refuse?: string;
}

export interface ProgramSpec {
  readonly name: string;
  readonly help: string;
  readonly flags: readonly FlagSpec[];
  readonly commands: readonly CommandSpec[];
}

/** What the user asked for. Asking for a name that the command does not declare is a bug and throws. */
export interface Invocation {
  readonly command: string;
  /** The value of a `value` flag: given, from the environment, or the default. */
  text(flag: string): string | undefined;
  on(flag: string): boolean;
  list(flag: string): readonly string[];
  /** True when it stands on the command line (not in the environment). */
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

/** Reads tokens left to right; knows the command as soon as its words have been seen. */
class Reader {
  readonly values = new Map<string, string[]>();
  readonly operands: string[] = [];
  command: CommandSpec | undefined;
  words: string[] = [];
  help = false;
  private readonly program: ProgramSpec;
  private readonly queue: string[];

  constructor(program: ProgramSpec, argv: readonly string[]) {
    this.program = program;
    this.queue = [...argv];
  }

  read(): void {
    for (let token = this.queue.shift(); token !== undefined; token = this.queue.shift()) {
      if (token === '--') {
        for (const operand of this.queue.splice(0)) this.word(operand, false);
      } else if (token.startsWith('--')) this.long(token.slice(2));
      else if (token.startsWith('-') && token.length > 1) this.short(token.slice(1));
      else this.word(token, true);
    }
  }

  flags(): readonly FlagSpec[] {
    return [...(this.command?.flags ?? []), ...this.program.flags, helpFlag];
  }

  private word(token: string, mayStop: boolean): void {
    if (this.command === undefined) {
      this.commandWord(token);
      return;
    }
    this.operands.push(token);
    if (!mayStop || this.command.stopAtOperand !== true) return;
    const rest = this.queue.splice(0);
    this.operands.push(...(rest[0] === '--' ? rest.slice(1) : rest));
  }

  private commandWord(token: string): void {
    this.words.push(token);
    const path = this.words.join(' ');
    this.command = findCommand(this.program, path);
    if (this.command !== undefined || this.words[0] === 'help') return;
    if (!this.program.commands.some((c) => namesOf(c).some((name) => name.startsWith(`${path} `))))
      throw wrong(`expected command but got "${token}"`);
  }

  private long(body: string): void {
    const equals = body.indexOf('=');
    const name = equals < 0 ? body : body.slice(0, equals);
    const value = equals < 0 ? undefined : body.slice(equals + 1);
    const flag = this.flags().find((f) => f.name === name);
    if (flag !== undefined) {
      this.take(flag, `--${name}`, value, 'true');
      return;
    }
    const positive = name.startsWith('no-') ? name.slice(3) : undefined;
    const negated = this.flags().find((f) => f.kind === 'switch' && f.name === positive);
    if (negated === undefined) throw wrong(`unknown long flag '--${name}'`);
    this.take(negated, `--${name}`, value, 'false');
  }

  private short(body: string): void {
    const letter = body.slice(0, 1);
    const rest = body.slice(1);
    const flag = this.flags().find((f) => f.short === letter);
    if (flag === undefined) throw wrong(`unknown short flag '-${letter}'`);
    if (flag.kind === 'switch') {
      this.take(flag, `-${letter}`, undefined, 'true');
      if (rest !== '') this.short(rest);
    } else this.take(flag, `-${letter}`, rest === '' ? undefined : rest.replace(/^=/, ''), 'true');
  }

  private take(flag: FlagSpec, shown: string, value: string | undefined, switched: string): void {
    if (flag.refuse !== undefined) throw new CodedError('unavailable', `${shown} ${flag.refuse}`);
    if (flag === helpFlag) {
      this.help = true;
      return;
    }
    if (flag.kind === 'switch') {
      if (value !== undefined) throw wrong(`flag '${shown}' takes no value, but got '${value}'`);
      this.values.set(flag.name, [switched]);
      return;
    }
    const text = value ?? this.nextValue(shown);
    const earlier = this.values.get(flag.name) ?? [];
    if (flag.kind === 'value' && earlier.length > 0) throw wrong(`flag '${flag.name}' cannot be repeated`);
    this.values.set(flag.name, [...earlier, text]);
  }

  private nextValue(shown: string): string {
    const next = this.queue[0];
    if (next === undefined || (next.startsWith('-') && next.length > 1 && !/^-\d/.test(next)))
      throw wrong(`expected argument for flag '${shown}'`);
    this.queue.shift();
    return next;
  }
}

const namesOf = (command: CommandSpec): readonly string[] => [command.name, ...(command.aliases ?? [])];

export const findCommand = (program: ProgramSpec, name: string): CommandSpec | undefined =>
  program.commands.find((c) => namesOf(c).includes(name));

/**
 * Reads a command line as the reference does: `--flag=value`, `--flag value`, `--[no-]switch`, `-p22`, `-tN`, `--`;
 * flags of the program may stand before or after the command.
 * @throws CodedError `bad_request` for what cannot be read, `unavailable` for what this release refuses by name.
 */
export function parseArgs(program: ProgramSpec, argv: readonly string[], env: Environment): Parsed {
  const reader = new Reader(program, argv);
  reader.read();
  const { command, words } = reader;
  if (words[0] === 'help' && command === undefined) return helpOn(program, words.slice(1).join(' '));
  if (reader.help) return { kind: 'help', command: words.length > 0 ? words.join(' ') : undefined };
  if (command === undefined)
    return { kind: 'incomplete', command: words.length > 0 ? words.join(' ') : undefined };
  if (command.refuse !== undefined)
    throw new CodedError('unavailable', `'${program.name} ${command.name}' ${command.refuse}`);
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
