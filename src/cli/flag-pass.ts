import { Parser } from 'yargs/helpers';
import { CodedError } from '../base/errors.ts';
import type { FlagSpec } from './program-spec.ts';

const wrong = (message: string): CodedError => new CodedError('bad_request', message);

/** What yargs' parser found before the first operand. */
export interface Pass {
  readonly values: Readonly<Record<string, unknown>>;
  /** Index, in the given tokens, of the first operand; their number when there is none. */
  readonly stoppedAt: number;
}

const parserConfiguration = {
  'halt-at-non-option': true,
  'unknown-options-as-args': true,
  'populate--': true,
  'strip-aliased': true,
  'boolean-negation': false,
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
};

/** One pass of yargs' parser, up to the first operand. */
export function parsePass(flags: readonly FlagSpec[], argv: readonly string[]): Pass {
  const tokens = splitAttached(flags, argv);
  const taking = flags.filter((flag) => flag.kind !== 'switch');
  const { argv: found, error } = Parser.detailed(
    tokens.map((token) => token.text),
    {
      boolean: flags.filter((flag) => flag.kind === 'switch').map((flag) => flag.name),
      string: taking.map((flag) => flag.name),
      narg: Object.fromEntries(taking.map((flag) => [flag.name, 1])),
      alias: Object.fromEntries(flags.flatMap((f) => (f.short === undefined ? [] : [[f.name, [f.short]]]))),
      configuration: parserConfiguration,
    },
  );
  const unknown = found._[0];
  if (unknown !== undefined) throw unknownFlag(String(unknown));
  if (error !== null) throw missingValue(flags, error);
  const rest = found['--']?.length ?? 0;
  return { values: found, stoppedAt: tokens[tokens.length - rest]?.origin ?? argv.length };
}

const unknownFlag = (token: string): CodedError =>
  token.startsWith('--')
    ? wrong(`unknown long flag '${token.replace(/=.*$/s, '')}'`)
    : wrong(`unknown short flag '${token.slice(0, 2)}'`);

function missingValue(flags: readonly FlagSpec[], error: Error): CodedError {
  const name = /following: (\S+)$/.exec(error.message)?.[1];
  const flag = flags.find((one) => one.name === name || one.short === name);
  return wrong(flag === undefined ? error.message : `expected argument for flag '--${flag.name}'`);
}

/**
 * `-p22` becomes `-p 22`, `-tL8080:a:80` becomes `-t -L 8080:a:80`: the parser would read a letter as a flag
 * of its own. `--no-agent` becomes `--agent=false`, unless a flag has that very name. A token that begins
 * with a dash is never the value of the flag before it, so nothing else needs to be known.
 * @throws CodedError for `--switch=value`.
 */
function splitAttached(
  flags: readonly FlagSpec[],
  argv: readonly string[],
): { text: string; origin: number }[] {
  const end = argv.indexOf('--');
  return argv.flatMap((text, origin) => {
    const texts =
      end >= 0 && origin >= end ? [text] : (splitLong(flags, text) ?? splitShort(flags, text) ?? [text]);
    return texts.map((one) => ({ text: one, origin }));
  });
}

/** Undefined for a token that is not a long flag. */
function splitLong(flags: readonly FlagSpec[], text: string): string[] | undefined {
  if (!text.startsWith('--')) return undefined;
  const switches = flags.filter((flag) => flag.kind === 'switch');
  const [, name, value] = /^--([^=]+)=(.*)$/s.exec(text) ?? [];
  if (value !== undefined && switches.some((flag) => flag.name === name))
    throw wrong(`flag '--${name ?? ''}' takes no value, but got '${value}'`);
  const negated = /^--no-(.+)$/.exec(text)?.[1];
  return switches.some((flag) => flag.name === negated) ? [`--${negated ?? ''}=false`] : [text];
}

/**
 * Undefined for a token that is not a group of short flags; a group with an unknown letter stays as it is.
 */
function splitShort(flags: readonly FlagSpec[], text: string): string[] | undefined {
  if (!/^-[A-Za-z]./s.test(text)) return undefined;
  const kindOf = (letter: string): FlagSpec['kind'] | undefined =>
    flags.find((f) => f.short === letter)?.kind;
  const out: string[] = [];
  for (let at = 1; at < text.length; at++) {
    const letter = text.charAt(at);
    const kind = kindOf(letter);
    if (kind === undefined) return undefined;
    out.push(`-${letter}`);
    if (kind === 'switch') continue;
    const value = text.slice(at + 1).replace(/^=/, '');
    return value === '' ? out : [...out, value];
  }
  return out;
}
