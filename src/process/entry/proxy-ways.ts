import type { Duplex } from 'node:stream';
import { unverifiedServer } from '../../api/tls-dial.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import type { Environment } from '../../base/forward-proxy.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { signalAfter } from '../../base/timers.ts';
import { askProxy } from './ask-proxy.ts';
import { openWay, type Way, waysTo, wayText } from './open-way.ts';

/** A way that leads nowhere may also swallow what is sent. */
const probeMs = 4 * second;
/** A proxy has few ways, each with limits of its own. */
const searchMs = 60 * second;

/**
 * The ways to one proxy, or to a balancer before several: its port for links, its web port as it is, or an
 * upgraded connection where something in between ends TLS. The first one on which an auth server answers is
 * kept until it fails.
 */
export class ProxyWays {
  readonly address: HostPort;
  readonly #sink: LogSink;
  readonly #env: Environment;
  readonly #named: HostPort | undefined;
  #known: Way | undefined;
  #finding: Promise<Way> | undefined;

  /**
   * @param env may name an HTTP proxy by which proxies of ours are reached.
   * @param named where an operator wrote that links are taken: tried before the proxy is asked.
   */
  constructor(address: HostPort, sink: LogSink, env: Environment, named?: HostPort) {
    this.address = address;
    this.#named = named;
    this.#env = env;
    this.#sink = sink;
  }

  /** A connection on which TLS may begin. @throws CodedError `unavailable` with all that was tried. */
  async open(signal: AbortSignal): Promise<Duplex> {
    const way = this.#known ?? (await orAborted(this.#find(), signal));
    try {
      return await openWay(way, this.#env, signal);
    } catch (e) {
      this.forget();
      throw e;
    }
  }

  /** What was found out does not hold any more: the next connection finds out again. */
  forget(): void {
    this.#known = undefined;
  }

  /**
   * All who wait share one search. It goes on when they have left: where several ways swallow what is sent,
   * it takes longer than any of them waits, and would never come to the one that leads there.
   */
  #find(): Promise<Way> {
    this.#finding ??= this.#search(signalAfter(searchMs)).finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  async #search(signal: AbortSignal): Promise<Way> {
    const failures: string[] = [];
    const web = formatHostPort(this.address);
    const tried = async (ways: readonly Way[]): Promise<Way | undefined> => {
      for (const way of ways)
        try {
          await probe(way, this.#env, signal);
          this.#known = way;
          this.#sink.info('a way to the cluster was found by a proxy', {
            proxy: web,
            way: wayText(way),
            ...(failures.length > 0 && { triedBefore: failures.join('; ') }),
          });
          return way;
        } catch (e) {
          failures.push(messageOf(e));
        }
      return undefined;
    };
    const first = this.#named && (await tried([{ status: 'tcp', address: this.#named }]));
    const found = first ?? (await tried(await this.#said(signal, failures)));
    if (found !== undefined) return found;
    throw new CodedError(
      'unavailable',
      `the proxy at ${web} answers, but no way leads through it: ${failures.join('; ')}`,
    );
  }

  /** What the proxy says of itself. @throws CodedError `unavailable` with what failed before */
  async #said(signal: AbortSignal, failures: readonly string[]): Promise<readonly Way[]> {
    try {
      const { tunnelAddresses, scheme } = await askProxy(this.address, this.#env, signal);
      return waysTo(this.address, tunnelAddresses, scheme);
    } catch (e) {
      throw new CodedError('unavailable', [...failures, messageOf(e)].join('; '), { cause: e });
    }
  }
}

/** @throws CodedError `unavailable` when `signal` is aborted first. */
function orAborted<Value>(waited: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(new CodedError('unavailable', 'no way to the cluster was found in time'));
    };
    waited.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', leave);
    });
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave);
  });
}

/** Whether an auth server greets on it. Whose it is, is found out by those who then connect. */
async function probe(way: Way, env: Environment, signal: AbortSignal): Promise<void> {
  const server = unverifiedServer({ host: wayText(way), port: 0 }, (_address, by) => openWay(way, env, by));
  try {
    (await server.connect(AbortSignal.any([signal, signalAfter(probeMs)]))).destroy();
  } catch (e) {
    const why = messageOf(e);
    throw new CodedError('unavailable', why.startsWith(wayText(way)) ? why : `${wayText(way)}: ${why}`, {
      cause: e,
    });
  }
}
