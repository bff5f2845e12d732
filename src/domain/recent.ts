/** The last keys seen, in pieces, so that remembering one copies a piece and not the whole. Never mutated. */
export interface Recent {
  /** Full pieces, oldest first. */
  readonly pieces: readonly ReadonlySet<string>[];
  readonly tail: readonly string[];
}

const pieceSize = 64;
const maxPieces = 32;

export const emptyRecent: Recent = { pieces: [], tail: [] };

/** At least the last 2,048 keys are remembered. */
export function remember({ pieces, tail }: Recent, key: string): Recent {
  const longer = [...tail, key];
  if (longer.length < pieceSize) return { pieces, tail: longer };
  return { pieces: [...pieces, new Set(longer)].slice(-maxPieces), tail: [] };
}

export const remembers = ({ pieces, tail }: Recent, key: string): boolean =>
  tail.includes(key) || pieces.some((piece) => piece.has(key));

/** How many keys are remembered. */
export const held = (recent: Recent | undefined): number =>
  recent === undefined ? 0 : recent.pieces.length * pieceSize + recent.tail.length;
