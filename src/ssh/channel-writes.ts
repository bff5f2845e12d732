import { giveBack } from '../base/lent-memory.ts';
import * as wire from './connection-messages.ts';
import type { ChannelData } from './data-packets.ts';

export type WriteDone = (error?: Error | null) => void;

/** What the owner of a channel has written, one after the other. */
export interface PendingWrite {
  /** What of it was not sent yet. */
  data: Buffer;
  readonly done: WriteDone;
}

/** Small enough for a packet of any implementation (RFC 4253, 6.1), large enough to be fast. */
const MAX_PIECE = 32 * 1024;

/** What a stream gives to be written at once. */
export function joined(chunks: readonly { chunk: unknown }[]): Buffer {
  const pieces = chunks.map(({ chunk }) => chunk as Buffer);
  const all = Buffer.concat(pieces);
  for (const piece of pieces) giveBack(piece);
  return all;
}

/** Where data goes: the parts of `Transport` that channels send it by. */
interface DataLink {
  send(header: Buffer, body?: Buffer): void;
  sendData(channelData: ChannelData): number;
}

/** Sends the start of `data`, at least one packet; returns how many bytes of it. */
export function sendStart(
  link: DataLink,
  target: 'stdout' | 'stderr',
  { remoteId, remoteMaxPacket }: { readonly remoteId: number; readonly remoteMaxPacket: number },
  data: Buffer,
): number {
  const maxPiece = Math.min(remoteMaxPacket, MAX_PIECE);
  if (target === 'stdout') {
    const sent = link.sendData({ recipient: remoteId, maxPiece, data });
    if (sent > 0) return sent;
  }
  const piece = data.subarray(0, maxPiece);
  const header = target === 'stdout' ? wire.dataHeader : wire.stderrHeader;
  link.send(header(remoteId, piece.length), piece);
  return piece.length;
}
