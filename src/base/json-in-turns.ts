/** Of an array: as much text as is made within a millisecond or two. */
const itemsOfPiece = 200;
/** Arrays deeper than this are not cut: states have theirs at the top. */
const deepest = 3;

/**
 * The pieces of what `JSON.stringify` returns for plain data, made while others have their turns: a large
 * array is cut, in an object too.
 * @param due called after each piece: what it returns is awaited (`turns.ts`).
 * @returns undefined for what has no text, as `JSON.stringify` does.
 */
export async function jsonInTurns(
  value: unknown,
  due: () => Promise<void> | undefined,
): Promise<readonly string[] | undefined> {
  const pieces: string[] = [];
  for (const piece of piecesOf(value, 0)) {
    if (piece === undefined) return undefined;
    pieces.push(piece);
    const rest = due();
    if (rest !== undefined) await rest;
  }
  return pieces;
}

function* piecesOf(value: unknown, depth: number): Generator<string | undefined> {
  if (depth > deepest || typeof value !== 'object' || value === null || 'toJSON' in value)
    yield JSON.stringify(value);
  else if (Array.isArray(value)) yield* piecesOfArray(value);
  else yield* piecesOfObject(value, depth);
}

function* piecesOfArray(items: readonly unknown[]): Generator<string> {
  yield '[';
  for (let at = 0; at < items.length; at += itemsOfPiece) {
    const text = JSON.stringify(items.slice(at, at + itemsOfPiece));
    yield `${at === 0 ? '' : ','}${text.slice(1, -1)}`;
  }
  yield ']';
}

function* piecesOfObject(value: object, depth: number): Generator<string> {
  let before = '{';
  for (const [key, one] of Object.entries(value)) {
    const pieces = piecesOf(one, depth + 1);
    const first = pieces.next();
    // It has no text: neither has its key.
    if (first.done === true || first.value === undefined) continue;
    yield `${before}${JSON.stringify(key)}:${first.value}`;
    for (const piece of pieces) if (piece !== undefined) yield piece;
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}
