import { readFile } from 'node:fs/promises';
import { isIP, type Socket } from 'node:net';
import { endianness } from 'node:os';
import { hostsInRole, type HostsState } from '../views/hosts.ts';

/**
 * Whose word counts when a peer names another address as the true client's.
 *
 * From another machine: when its address is that of a proxy of this cluster. That is as strong as an IP address is; who
 * shares it with a proxy (another program there, NAT) could claim any address, for itself and in the audit only, and the
 * address that it came from is kept beside it.
 *
 * From this machine: when the socket at the other end belongs to the account we run as, and is not one that we opened
 * ourselves for a person (port forwarding). So no other local account can pretend.
 */
export class TrustedPeers {
  readonly #hosts: () => HostsState;
  /** `address:port` of our own ends of forwarded connections. */
  readonly #forwards = new Set<string>();

  constructor(hosts: () => HostsState) {
    this.#hosts = hosts;
  }

  /** A connection that a person makes through us. To be called before its other end can see it. */
  isForward(socket: Socket): void {
    const { localAddress, localPort } = socket;
    if (localAddress === undefined || localPort === undefined) return; // it failed at once
    const key = `${plain(localAddress)}:${localPort}`;
    this.#forwards.add(key);
    socket.once('close', () => this.#forwards.delete(key));
  }

  /**
   * How to find out about a peer, once it claims anything. To be called when its connection is new: what it is now is what
   * counts, and looking for the owner of a socket takes the kernel milliseconds.
   */
  judge(socket: Socket): () => Promise<boolean> {
    const { remotePort, localPort } = socket;
    const [remote, local] = [plain(socket.remoteAddress), plain(socket.localAddress)];
    if (remote === '' || remotePort === undefined || localPort === undefined)
      return () => Promise.resolve(false);
    if (!isLocal(remote, local)) return () => Promise.resolve(this.#isProxy(remote));
    if (this.#forwards.has(`${remote}:${remotePort}`)) return () => Promise.resolve(false);
    return async () => {
      const owner = await ownerOfTcpSocket(
        { address: remote, port: remotePort },
        { address: local, port: localPort },
      );
      return owner !== undefined && owner === process.getuid?.();
    };
  }

  /** Names in the host list are not looked up: DNS must not decide. */
  #isProxy(address: string): boolean {
    return hostsInRole(this.#hosts(), 'Proxy').some((proxy) => hostPartOf(proxy.address) === address);
  }
}

const plain = (address: string | undefined): string =>
  (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');

const isLocal = (remote: string, local: string): boolean =>
  remote === local || remote === '::1' || remote.startsWith('127.');

const hostPartOf = (address: string): string => {
  const host = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1] ?? address.replace(/:\d+$/, '');
  return isIP(host) === 0 ? '' : host;
};

/** One end of a connection. */
export interface TcpEnd {
  readonly address: string;
  readonly port: number;
}

/** The uid that owns the `own` end of a TCP connection within this machine; undefined when the kernel does not list it. */
async function ownerOfTcpSocket(own: TcpEnd, other: TcpEnd): Promise<number | undefined> {
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`/proc/net/${table}`, 'latin1').catch(() => ''); // no IPv6, or no /proc: not listed
    const owner = ownerInTable(text, own, other);
    if (owner !== undefined) return owner;
  }
  return undefined;
}

/**
 * Finds an established connection by its two ends: a port can be that of several connections, of several accounts.
 * Source: proc(5), /proc/net/tcp.
 */
export function ownerInTable(text: string, own: TcpEnd, other: TcpEnd): number | undefined {
  const [owns, others] = [kernelEnds(own), kernelEnds(other)];
  for (const line of text.split('\n').slice(1)) {
    const [, local = '', remote = '', state, , , , uid = ''] = line.trim().split(/\s+/);
    if (state === '01' && owns.includes(local) && others.includes(remote) && /^\d+$/.test(uid))
      return Number(uid);
  }
  return undefined;
}

const kernelEnds = ({ address, port }: TcpEnd): readonly string[] =>
  kernelAddresses(address).map((one) => `${one}:${port.toString(16).toUpperCase().padStart(4, '0')}`);

/** The forms in which the kernel may print an address: 32-bit words of this machine's byte order, in hexadecimal. */
export function kernelAddresses(address: string): readonly string[] {
  const v4 = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (v4 === null) return [words(v6Bytes(address))];
  const bytes = v4.slice(1).map(Number);
  return [words(bytes), words([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes])];
}

function v6Bytes(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0);
  return [...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 0xff]);
}

function words(bytes: readonly number[]): string {
  const buffer = Buffer.from(bytes);
  if (endianness() === 'LE') buffer.swap32();
  return buffer.toString('hex').toUpperCase();
}
