import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

/**
 * From here on a failed write ends only the writing: further writes are discarded, and data that the peer has
 * sent can still be read; the socket closes after that. By default Node destroys the socket, and with it the
 * data of a peer that closed while data was still being sent to it. Other kinds of streams stay as they are.
 */
export function readOnAfterFailedWrites(stream: Duplex): void {
  if (!(stream instanceof Socket)) return;
  let failed = false;
  const failing = (): void => {
    if (failed) return;
    failed = true;
    if (stream.readableEnded) stream.destroy();
    else stream.once('end', () => stream.destroy());
  };
  const tolerant =
    (done: Done): Done =>
    (error) => {
      if (error) failing();
      done();
    };
  // Both are what a stream gives to be overridden.
  const [write, writev] = [stream._write.bind(stream), stream._writev?.bind(stream)];
  stream._write = (chunk, encoding, done) => {
    if (failed) done();
    else write(chunk, encoding, tolerant(done));
  };
  if (writev !== undefined)
    stream._writev = (chunks, done) => {
      if (failed) done();
      else writev(chunks, tolerant(done));
    };
}
