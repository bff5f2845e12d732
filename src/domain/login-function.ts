import { CodedError } from '../base/errors.ts';
import { compileCapture } from './capture-pattern.ts';

/** What a template makes of one value of its trait; undefined: nothing, so that it gives no login. */
export type LoginFunction = (value: string) => string | undefined;

/** A mail address, alone or as `Ann <ann@example.com>`. */
const mailAddress = /^(?:[^<>]*<)?(?<local>[^\s@<>"]+)@[^\s@<>"]+(?<end>>)?$/;

/** The part of a mail address before the `@`. */
export const emailLocal: LoginFunction = (value) => {
  const groups = mailAddress.exec(value)?.groups;
  return value.includes('<') === (groups?.['end'] !== undefined) ? groups?.['local'] : undefined;
};

/** A piece of a replacement: text, or the number of a group. */
type Piece = string | number;

/**
 * A value that the pattern matches becomes the replacement, in which `$1` or `${1}` is what the first group
 * matched, and `$$` a dollar. A value that it does not match becomes nothing.
 * @throws CodedError `bad_request` for what cannot be done in linear time, or has no meaning.
 */
export function regexpReplace(pattern: string, replacement: string): LoginFunction {
  if (!pattern.startsWith('^') || !pattern.endsWith('$') || pattern.length < 2)
    throw new CodedError(
      'bad_request',
      `the pattern has to match the whole value: write "^…$" and keep parts by groups, as in ` +
        String.raw`"^(.*)@example\\.com$", "$1"`,
    );
  const { groups, capture } = compileCapture(pattern.slice(1, -1));
  const pieces = piecesOf(replacement);
  for (const piece of pieces)
    if (typeof piece === 'number' && piece > groups)
      throw new CodedError(
        'bad_request',
        `the replacement has $${piece}, and the pattern ${groupsText(groups)}`,
      );
  return (value) => {
    const captured = capture(value);
    return captured && pieces.map((one) => (typeof one === 'string' ? one : (captured[one] ?? ''))).join('');
  };
}

const groupsText = (groups: number): string =>
  groups === 0 ? 'has no group' : groups === 1 ? 'has one group' : `has ${groups} groups`;

const piece = /(?<text>[^$]+)|\$(?<dollar>\$)|\$\{(?<braced>\d{1,3})\}|\$(?<bare>\d{1,3})(?![A-Za-z0-9_])/y;

function piecesOf(replacement: string): readonly Piece[] {
  const pieces: Piece[] = [];
  for (let at = 0; at < replacement.length; at = piece.lastIndex) {
    piece.lastIndex = at;
    const groups = piece.exec(replacement)?.groups;
    if (!groups)
      throw new CodedError(
        'bad_request',
        `the replacement ${JSON.stringify(replacement)} has a "$" that is no group: write \${1} for the first ` +
          'group, $1 where no letter, digit or underscore follows, and $$ for a dollar',
      );
    pieces.push(pieceOf(groups));
  }
  return pieces;
}

const pieceOf = ({ text, dollar, braced, bare }: Readonly<Record<string, string | undefined>>): Piece =>
  text ?? dollar ?? Number(braced ?? bare);
