/**
 * The messages of the SSH connection protocol, to and from bytes. Pure.
 * Source: RFC 4254; numbers from section 9.
 */
import { Reader, WireError, str, u32 } from '../pki/wire.ts';
import { unreachable } from '../base/errors.ts';
import type { ExitStatus, OpenFailure, WindowSize } from './channel-types.ts';

/** Extended data type for stderr. */
export const STDERR = 1;

const number = {
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  open: 90,
  openConfirmation: 91,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  extendedData: 95,
  eof: 96,
  close: 97,
  request: 98,
  success: 99,
  failure: 100,
} as const;

/** True for the message numbers of this file. */
export const isConnectionMessage = (n: number): boolean => n >= 80 && n <= 127;

export type ConnectionMessage =
  | {
      readonly type: 'global-request';
      readonly name: string;
      readonly wantReply: boolean;
      readonly data: Buffer;
    }
  | { readonly type: 'request-success'; readonly data: Buffer }
  | { readonly type: 'request-failure' }
  | {
      readonly type: 'open';
      readonly channelType: string;
      readonly sender: number;
      readonly window: number;
      readonly maxPacket: number;
      readonly data: Buffer;
    }
  | {
      readonly type: 'open-confirmation';
      readonly recipient: number;
      readonly sender: number;
      readonly window: number;
      readonly maxPacket: number;
    }
  | {
      readonly type: 'open-failure';
      readonly recipient: number;
      readonly reason: number;
      readonly description: string;
    }
  | { readonly type: 'window-adjust'; readonly recipient: number; readonly bytes: number }
  | { readonly type: 'data'; readonly recipient: number; readonly data: Buffer }
  | {
      readonly type: 'extended-data';
      readonly recipient: number;
      readonly code: number;
      readonly data: Buffer;
    }
  | { readonly type: 'eof' | 'close' | 'success' | 'failure'; readonly recipient: number }
  | {
      readonly type: 'request';
      readonly recipient: number;
      readonly name: string;
      readonly wantReply: boolean;
      readonly data: Buffer;
    }
  /** An undefined number of this protocol. */
  | { readonly type: 'unimplemented' };

const rest = (r: Reader): Buffer => {
  const data = r.buf.subarray(r.pos);
  r.pos = r.buf.length;
  return data;
};

/** Server text is shown to people, so it is read leniently: bad UTF-8 becomes U+FFFD. */
const lenientText = (r: Reader): string => r.bytes().toString('utf8');

const simple = { 96: 'eof', 97: 'close', 99: 'success', 100: 'failure' } as const;

function parseBody(n: number, r: Reader): ConnectionMessage {
  switch (n) {
    case number.data:
      return { type: 'data', recipient: r.u32(), data: r.bytes() };
    case number.windowAdjust:
      return { type: 'window-adjust', recipient: r.u32(), bytes: r.u32() };
    case number.extendedData:
      return { type: 'extended-data', recipient: r.u32(), code: r.u32(), data: r.bytes() };
    case number.request:
      return { type: 'request', recipient: r.u32(), name: r.text(), wantReply: r.u8() !== 0, data: rest(r) };
    case number.globalRequest:
      return { type: 'global-request', name: r.text(), wantReply: r.u8() !== 0, data: rest(r) };
    case number.requestSuccess:
      return { type: 'request-success', data: rest(r) };
    case number.requestFailure:
      return { type: 'request-failure' };
    case number.eof:
    case number.close:
    case number.success:
    case number.failure:
      return { type: simple[n], recipient: r.u32() };
    default:
      return parseOpening(n, r);
  }
}

function parseOpening(n: number, r: Reader): ConnectionMessage {
  switch (n) {
    case number.open:
      return {
        type: 'open',
        channelType: r.text(),
        sender: r.u32(),
        window: r.u32(),
        maxPacket: r.u32(),
        data: rest(r),
      };
    case number.openConfirmation: {
      const message = {
        type: 'open-confirmation',
        recipient: r.u32(),
        sender: r.u32(),
        window: r.u32(),
        maxPacket: r.u32(),
      } as const;
      rest(r); // no channel type of ours has data here
      return message;
    }
    case number.openFailure: {
      const message = {
        type: 'open-failure',
        recipient: r.u32(),
        reason: r.u32(),
        description: lenientText(r),
      } as const;
      rest(r); // language tag; some implementations leave it out
      return message;
    }
    default:
      rest(r);
      return { type: 'unimplemented' };
  }
}

/**
 * @throws WireError when it is cut short or something follows. `payload` is kept: the data are slices of it.
 */
export function parseConnectionMessage(payload: Buffer): ConnectionMessage {
  const r = new Reader(payload);
  const message = parseBody(r.u8(), r);
  r.end();
  return message;
}

const bool = (b: boolean): Buffer => Buffer.of(b ? 1 : 0);

export const globalRequest = (name: string, wantReply: boolean, data: Buffer): Buffer =>
  Buffer.concat([Buffer.of(number.globalRequest), str(name), bool(wantReply), data]);
export const requestSuccess = (data: Buffer): Buffer =>
  Buffer.concat([Buffer.of(number.requestSuccess), data]);
export const requestFailure = (): Buffer => Buffer.of(number.requestFailure);

export interface OpenRequest {
  readonly channelType: string;
  readonly sender: number;
  readonly window: number;
  readonly maxPacket: number;
  readonly data: Buffer;
}
export const open = (o: OpenRequest): Buffer =>
  Buffer.concat([
    Buffer.of(number.open),
    str(o.channelType),
    u32(o.sender),
    u32(o.window),
    u32(o.maxPacket),
    o.data,
  ]);
export const openConfirmation = (
  recipient: number,
  sender: number,
  window: number,
  maxPacket: number,
): Buffer =>
  Buffer.concat([
    Buffer.of(number.openConfirmation),
    u32(recipient),
    u32(sender),
    u32(window),
    u32(maxPacket),
  ]);

const openFailures = ['prohibited', 'connect_failed', 'unknown_type', 'resource_shortage'] as const;
export const openFailure = (recipient: number, failure: OpenFailure, description: string): Buffer =>
  Buffer.concat([
    Buffer.of(number.openFailure),
    u32(recipient),
    u32(openFailures.indexOf(failure) + 1),
    str(description),
    str(''),
  ]);
/** The inverse of the number `openFailure` writes; numbers we do not know count as `connect_failed`. */
export const openFailureOf = (reason: number): OpenFailure => openFailures[reason - 1] ?? 'connect_failed';

export const windowAdjust = (recipient: number, bytes: number): Buffer =>
  Buffer.concat([Buffer.of(number.windowAdjust), u32(recipient), u32(bytes)]);

/** Everything of a data message except the data. */
export function dataHeader(recipient: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(9);
  header[0] = number.data;
  header.writeUInt32BE(recipient, 1);
  header.writeUInt32BE(length, 5);
  return header;
}
export const stderrHeader = (recipient: number, length: number): Buffer =>
  Buffer.concat([Buffer.of(number.extendedData), u32(recipient), u32(STDERR), u32(length)]);

const onlyRecipient =
  (n: number) =>
  (recipient: number): Buffer =>
    Buffer.concat([Buffer.of(n), u32(recipient)]);
export const eof = onlyRecipient(number.eof);
export const close = onlyRecipient(number.close);
export const success = onlyRecipient(number.success);
export const failure = onlyRecipient(number.failure);

export const channelRequest = (recipient: number, name: string, wantReply: boolean, data: Buffer): Buffer =>
  Buffer.concat([Buffer.of(number.request), u32(recipient), str(name), bool(wantReply), data]);

/**
 * Name and data of the request that reports how a command ended; undefined when there is nothing to report.
 */
export function exitRequest(exit: ExitStatus): { name: string; data: Buffer } | undefined {
  switch (exit.status) {
    case 'exited':
      return { name: 'exit-status', data: u32(exit.code >>> 0) };
    case 'signalled':
      return {
        name: 'exit-signal',
        data: Buffer.concat([str(exit.signal), bool(exit.coreDumped), str(exit.message), str('')]),
      };
    case 'unknown':
      return undefined;
    default:
      return unreachable(exit);
  }
}

/** Reads `exit-status` and `exit-signal`; undefined for other requests. @throws WireError */
export function parseExit(name: string, data: Buffer): ExitStatus | undefined {
  const r = new Reader(data);
  if (name === 'exit-status') return { status: 'exited', code: r.u32() };
  if (name === 'exit-signal')
    return { status: 'signalled', signal: lenientText(r), coreDumped: r.u8() !== 0, message: lenientText(r) };
  return undefined;
}

export const windowSize = (size: WindowSize): Buffer =>
  Buffer.concat([u32(size.columns), u32(size.rows), u32(size.widthPixels), u32(size.heightPixels)]);
export const readWindowSize = (r: Reader): WindowSize => ({
  columns: r.u32(),
  rows: r.u32(),
  widthPixels: r.u32(),
  heightPixels: r.u32(),
});

/** Terminal modes as opcode and value pairs, ended by 0. Source: RFC 4254, 8. */
export const encodeModes = (modes: ReadonlyMap<number, number>): Buffer =>
  Buffer.concat([
    ...[...modes].map(([opcode, value]) => Buffer.concat([Buffer.of(opcode), u32(value)])),
    Buffer.of(0),
  ]);

/** Stops at 0, at the end, and at opcodes from 160, whose length is not defined, as the RFC requires. */
export function parseModes(encoded: Buffer): Map<number, number> {
  const modes = new Map<number, number>();
  const r = new Reader(encoded);
  while (!r.atEnd) {
    const opcode = r.u8();
    if (opcode === 0 || opcode >= 160) break;
    modes.set(opcode, r.u32());
  }
  return modes;
}

/** Data of direct-tcpip. */
export const forwardData = (host: string, port: number, originHost: string, originPort: number): Buffer =>
  Buffer.concat([str(host), u32(port), str(originHost), u32(originPort)]);

/** @throws WireError also for a port beyond 65535. */
export function parseForward(data: Buffer): {
  host: string;
  port: number;
  originHost: string;
  originPort: number;
} {
  const r = new Reader(data);
  const forward = { host: r.text(), port: r.u32(), originHost: r.text(), originPort: r.u32() };
  r.end();
  if (forward.port > 65535) throw new WireError('port out of range');
  return forward;
}
