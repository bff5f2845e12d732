import { createHash } from 'node:crypto';
import { jsonInTurns } from '../base/json-in-turns.ts';
import { turns } from '../base/turns.ts';
import type { ViewState } from './event-log.ts';
import type { Position } from './event.ts';

/** The state of a view as the bytes of its part of a snapshot. */
export interface EncodedView {
  readonly name: string;
  readonly position: Position;
  readonly bytes: Buffer;
  /** SHA-256 of them, in hexadecimal. */
  readonly digest: string;
}

/**
 * Encodes states one after the other: of ten thousand hosts one has tens of megabytes, and whoever is served
 * meanwhile waits for some milliseconds and not for all of it.
 */
export async function encodeViews(views: readonly ViewState[]): Promise<readonly EncodedView[]> {
  const due = turns();
  const encoded: EncodedView[] = [];
  for (const view of views) {
    const { name, position, carried } = view;
    const pieces = (await jsonInTurns({ position, state: view.state, carried }, due)) ?? [];
    const digest = createHash('sha256');
    const parts: Buffer[] = [];
    for (const piece of pieces) {
      const part = Buffer.from(piece);
      digest.update(part);
      parts.push(part);
      const rest = due();
      if (rest !== undefined) await rest;
    }
    encoded.push({ name, position, bytes: Buffer.concat(parts), digest: digest.digest('hex') });
  }
  return encoded;
}
