import { CodedError, unreachable } from '../base/errors.ts';
import { WireError } from '../pki/wire.ts';
import { Channel, type ChannelLink } from './channel.ts';
import type { OpenFailure } from './channel-types.ts';
import * as wire from './connection-messages.ts';
import type { ChannelData } from './data-packets.ts';
import type { ReceiveWindow } from './receive-window.ts';
import { ReplyQueue } from './reply-queue.ts';

/** What carries the messages: an encrypted and authenticated SSH transport, or another layer in a test. */
export interface Transport {
  send(header: Buffer, body?: Buffer): void;
  /**
   * Sends the start of what a channel has to send, as it likes best; returns how many bytes of it. 0: send it
   * as messages. To be called only while `writable`.
   */
  sendData(channelData: ChannelData): number;
  /**
   * False while the socket is full or keys are exchanged; `ConnectionLayer.pump` is called when that ends.
   */
  writable(): boolean;
}

/** The peer wants a channel. Answered once, now or later. */
export interface IncomingOpen {
  readonly channelType: string;
  readonly data: Buffer;
  accept(): Channel;
  reject(failure: OpenFailure, message: string): void;
}

export interface ConnectionLayerOptions {
  readonly transport: Transport;
  readonly maxChannels: number;
  /** How much a new channel may receive; undefined when no more can be opened now. */
  readonly openWindow: () => ReceiveWindow | undefined;
  readonly readsStderr: boolean;
  onOpen(open: IncomingOpen): void;
  /** Bytes: success with this payload. Undefined: failure. */
  onGlobalRequest(name: string, data: Buffer): Buffer | undefined;
}

/**
 * What both roles may advertise: every implementation must accept 32 KiB, none may send more than it is told.
 */
const MAX_PACKET = 32 * 1024;
const MIN_PACKET = 512;
/** For requests and messages without a payload. */
export const noData = Buffer.alloc(0);

type Entry =
  | {
      readonly status: 'asked';
      readonly settle: (result: Channel | CodedError) => void;
      readonly window: ReceiveWindow;
      readonly channelType: string;
    }
  | { readonly status: 'asking'; readonly window: ReceiveWindow }
  | { readonly status: 'open'; readonly channel: Channel };

/**
 * The connection protocol over one transport, the same for both roles: channels and global requests (RFC
 * 4254). Any message that breaks the rules is thrown as WireError; the owner then ends the connection.
 */
export class ConnectionLayer {
  readonly #options: ConnectionLayerOptions;
  readonly #channels = new Map<number, Entry>();
  /** Closed by both sides, and not read to the end here: their data goes with the connection. */
  readonly #unread = new Set<Channel>();
  readonly #questions: ((answer: Buffer | undefined) => void)[] = [];
  readonly #answers: ReplyQueue<Buffer | undefined>;
  readonly #link: ChannelLink;
  #nextId = 0;
  #lost = false;

  constructor(options: ConnectionLayerOptions) {
    this.#options = options;
    const { transport } = options;
    this.#answers = new ReplyQueue((answer) => {
      transport.send(answer === undefined ? wire.requestFailure() : wire.requestSuccess(answer));
    });
    this.#link = {
      send: (header, body) => {
        if (!this.#lost) transport.send(header, body);
      },
      sendData: (channelData) => (this.#lost ? channelData.data.length : transport.sendData(channelData)),
      writable: () => transport.writable(),
      release: (channel) => {
        this.#channels.delete(channel.localId);
        if (channel.destroyed) return;
        this.#unread.add(channel);
        channel.once('close', () => this.#unread.delete(channel));
      },
    };
  }

  /** Channels open or being opened. */
  get size(): number {
    return this.#channels.size;
  }

  /**
   * Requests a channel from the peer.
   * @throws CodedError `unavailable` with the peer's message; `access_denied` when it replied "prohibited".
   */
  openChannel(channelType: string, data: Buffer): Promise<Channel> {
    if (this.#lost) return Promise.reject(connectionLost());
    const window = this.#channels.size < this.#options.maxChannels ? this.#options.openWindow() : undefined;
    if (window === undefined)
      return Promise.reject(new CodedError('limit_exceeded', 'too many channels on this connection'));
    const sender = this.#freeId();
    const { promise, resolve, reject } = Promise.withResolvers<Channel>();
    const settle = (result: Channel | CodedError): void => {
      if (result instanceof CodedError) reject(result);
      else resolve(result);
    };
    this.#channels.set(sender, { status: 'asked', settle, window, channelType });
    this.#link.send(wire.open({ channelType, sender, window: window.bytes, maxPacket: MAX_PACKET, data }));
    return promise;
  }

  /**
   * Returns the payload of success, undefined for failure. @throws CodedError `unavailable` when the
   * connection ends.
   */
  globalRequest(name: string, data: Buffer): Promise<Buffer | undefined> {
    if (this.#lost) return Promise.reject(connectionLost());
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>();
    this.#questions.push((answer) => {
      if (this.#lost) reject(connectionLost());
      else resolve(answer);
    });
    this.#link.send(wire.globalRequest(name, true, data));
    return promise;
  }

  /** A global request that has no reply. */
  notify(name: string, data: Buffer): void {
    this.#link.send(wire.globalRequest(name, false, data));
  }

  /** The transport accepts more. */
  pump(): void {
    for (const entry of this.#channels.values()) if (entry.status === 'open') entry.channel.pump();
  }

  /** The transport is gone: every channel and request ends. */
  lost(): void {
    if (this.#lost) return;
    this.#lost = true;
    const entries = [...this.#channels.values()];
    this.#channels.clear();
    for (const entry of entries) {
      if (entry.status === 'open') {
        entry.channel.lost();
        continue;
      }
      giveBack(entry.window);
      if (entry.status === 'asked') entry.settle(connectionLost());
    }
    for (const channel of this.#unread) channel.lost();
    for (const question of this.#questions.splice(0)) question(undefined);
  }

  /** @throws WireError when the peer breaks the protocol. */
  receive(payload: Buffer): void {
    const message = wire.parseConnectionMessage(payload);
    if (isOnChannel(message)) receiveOnChannel(this.#channel(message.recipient), message);
    else this.#receiveGeneral(message);
  }

  #receiveGeneral(message: Exclude<wire.ConnectionMessage, ChannelMessage>): void {
    switch (message.type) {
      case 'global-request':
        this.#receiveGlobal(message.name, message.wantReply, message.data);
        return;
      case 'request-success':
        this.#receiveAnswer(message.data);
        return;
      case 'request-failure':
        this.#receiveAnswer(undefined);
        return;
      case 'open':
        this.#receiveOpen(message);
        return;
      case 'open-confirmation':
        this.#receiveConfirmation(message);
        return;
      case 'open-failure':
        this.#receiveFailure(message.recipient, message.reason, message.description);
        return;
      case 'unimplemented':
        return;
      default:
        unreachable(message);
    }
  }

  #freeId(): number {
    while (this.#channels.has(this.#nextId)) this.#nextId = (this.#nextId + 1) >>> 0;
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) >>> 0;
    return id;
  }

  #channel(id: number): Channel {
    const entry = this.#channels.get(id);
    if (entry?.status !== 'open') throw new WireError(`no channel ${id}`);
    return entry.channel;
  }

  #receiveGlobal(name: string, wantReply: boolean, data: Buffer): void {
    const answer = this.#options.onGlobalRequest(name, data);
    if (wantReply) this.#answers.reserve()(answer);
  }

  #receiveAnswer(answer: Buffer | undefined): void {
    const question = this.#questions.shift();
    if (question === undefined) throw new WireError('reply without a request');
    question(answer);
  }

  #receiveOpen(message: Extract<wire.ConnectionMessage, { type: 'open' }>): void {
    const { sender, channelType, data } = message;
    if (message.maxPacket < MIN_PACKET) throw new WireError('packet size too small');
    const window = this.#channels.size < this.#options.maxChannels ? this.#options.openWindow() : undefined;
    if (window === undefined) {
      this.#link.send(wire.openFailure(sender, 'resource_shortage', 'too many channels'));
      return;
    }
    const localId = this.#freeId();
    const asking = { status: 'asking', window } as const;
    this.#channels.set(localId, asking);
    const isWaiting = (): boolean => this.#channels.get(localId) === asking;
    this.#options.onOpen({
      channelType,
      data,
      accept: () => {
        const channel = this.#makeChannel(localId, channelType, { ...message, own: window });
        if (isWaiting()) {
          this.#channels.set(localId, { status: 'open', channel });
          this.#link.send(wire.openConfirmation(sender, localId, window.bytes, MAX_PACKET));
        } else {
          channel.lost(); // replied before, or the connection is gone
        }
        return channel;
      },
      reject: (failure, text) => {
        if (!isWaiting()) return;
        giveBack(window);
        this.#channels.delete(localId);
        this.#link.send(wire.openFailure(sender, failure, text));
      },
    });
  }

  #receiveConfirmation(message: Extract<wire.ConnectionMessage, { type: 'open-confirmation' }>): void {
    const entry = this.#channels.get(message.recipient);
    if (entry?.status !== 'asked') throw new WireError('channel confirmed that was not asked for');
    if (message.maxPacket < MIN_PACKET) throw new WireError('packet size too small');
    const channel = this.#makeChannel(message.recipient, entry.channelType, {
      ...message,
      own: entry.window,
    });
    this.#channels.set(message.recipient, { status: 'open', channel });
    entry.settle(channel);
  }

  #receiveFailure(recipient: number, reason: number, description: string): void {
    const entry = this.#channels.get(recipient);
    if (entry?.status !== 'asked') throw new WireError('channel refused that was not asked for');
    this.#channels.delete(recipient);
    giveBack(entry.window);
    const failure = wire.openFailureOf(reason);
    const code = failure === 'prohibited' ? 'access_denied' : 'unavailable';
    entry.settle(new CodedError(code, description === '' ? `channel refused: ${failure}` : description));
  }

  #makeChannel(
    localId: number,
    channelType: string,
    remote: { sender: number; window: number; maxPacket: number; own: ReceiveWindow },
  ): Channel {
    return new Channel(this.#link, {
      localId,
      remoteId: remote.sender,
      remoteWindow: remote.window,
      remoteMaxPacket: remote.maxPacket,
      window: remote.own,
      closesAtEof: channelType !== 'session',
      readsStderr: this.#options.readsStderr,
    });
  }
}

function giveBack(window: ReceiveWindow): void {
  window.keep(0);
  window.close();
}

const connectionLost = (): CodedError => new CodedError('unavailable', 'the connection was closed');

type ChannelMessage = Exclude<
  Extract<wire.ConnectionMessage, { recipient: number }>,
  { type: 'open-confirmation' | 'open-failure' }
>;

const isOnChannel = (m: wire.ConnectionMessage): m is ChannelMessage =>
  'recipient' in m && m.type !== 'open-confirmation' && m.type !== 'open-failure';

function receiveOnChannel(channel: Channel, message: ChannelMessage): void {
  switch (message.type) {
    case 'data':
      channel.receiveData(message.data, 'stdout');
      return;
    case 'extended-data':
      channel.receiveData(message.data, message.code === wire.STDERR ? 'stderr' : 'nowhere');
      return;
    case 'window-adjust':
      channel.receiveWindow(message.bytes);
      return;
    case 'request':
      channel.receiveRequest(message.name, message.wantReply, message.data);
      return;
    case 'success':
    case 'failure':
      channel.receiveReply(message.type === 'success');
      return;
    case 'eof':
      channel.receiveEof();
      return;
    case 'close':
      channel.receiveClose();
      return;
    default:
      unreachable(message);
  }
}
