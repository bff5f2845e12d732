import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as wire from './connection-messages.ts';
import type { PacketSender } from './packet-layer.ts';

/** Room for four of the pieces that channels send, as packets. */
const SLAB_BYTES = 132 * 1024;
/** More than this many are left to the runtime: few connections send bulk at a time. */
const KEPT_SLABS = 16;
/** Less than this is not worth a slab: it would hold 132 KiB until a slow peer has taken it. */
const MIN_BYTES = 16 * 1024;

/** Memory that nobody uses now, of all connections. */
const free: Buffer[] = [];

export interface ChannelData {
  /** The peer's number of the channel. */
  readonly recipient: number;
  /** At most this much in one packet. */
  readonly maxPiece: number;
  readonly data: Buffer;
}

/** A stream that copies what is written to it before it calls back. */
export interface CopyingStream {
  readonly copiesWhatIsWritten: true;
}

/** Others, such as a pair of streams in one process, may have passed it on as it is. */
const copies = (socket: Duplex & Partial<CopyingStream>): boolean =>
  socket instanceof Socket || socket.copiesWhatIsWritten === true;

/**
 * Sends the start of `data` as packets that lie side by side in one piece of memory, with one write: a packet
 * by itself costs an allocation, a call to the kernel, and, more than both, the collection of garbage that
 * buffers outside the heap force. The memory is used again when the socket has taken it.
 *
 * Returns how many bytes were sent. 0: send it by single packets.
 */
export function sendSideBySide(sender: PacketSender, socket: Duplex, channelData: ChannelData): number {
  const { recipient, maxPiece, data } = channelData;
  if (data.length < MIN_BYTES || !copies(socket)) return 0;
  const slab = free.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  const headBytes = wire.dataHeader(recipient, 0).length;
  let sent = 0;
  let end = 0;
  while (sent < data.length) {
    const bytes = Math.min(maxPiece, data.length - sent, sender.payloadWithin(SLAB_BYTES - end) - headBytes);
    if (bytes <= 0) break;
    const head = wire.dataHeader(recipient, bytes);
    const at = sender.sealInto(slab, end, head, data.subarray(sent, sent + bytes));
    if (at === undefined) break;
    end = at;
    sent += bytes;
  }
  if (end > 0)
    socket.write(slab.subarray(0, end), (e) => {
      // After a failure the kernel may still be reading it.
      if (!(e instanceof Error) && free.length < KEPT_SLABS) free.push(slab);
    });
  return sent;
}
