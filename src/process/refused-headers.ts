import type { Ends } from '../base/client-of.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { HeaderFault } from '../base/proxy-protocol.ts';
import { seldom } from '../base/seldom.ts';
import { formatHostPort, type Metrics } from '../base/service.ts';

/** Why a connection was refused by its PROXY header. Labels of a metric: few, and none from outside. */
export type HeaderRefusal =
  | HeaderFault
  /** It is from a listed balancer, and begins with something else. */
  | 'missing'
  /** It is from a listed balancer, and the header did not come in time. */
  | 'late'
  /** It has one, and is not from a listed balancer, or none is expected at that port. */
  | 'unexpected';

const advice: Readonly<Record<HeaderRefusal, string>> = {
  malformed: 'the balancer sends a header that cannot be read',
  too_long: 'the balancer sends more than fits into a header here',
  checksum: 'the header was changed on its way, or the balancer is faulty',
  unsupported: 'the balancer names its client by something else than TCP over IPv4 or IPv6',
  missing: 'make the balancer send the header, or take its address out of trusted_balancers',
  late: 'the balancer opens connections and sends nothing: let its checks send the header as well',
  unexpected:
    'if it is a balancer, list it in trusted_balancers and set proxy_protocol; anybody else may not send one',
};

export interface RefusedHeadersDeps {
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Of a monotonic clock, in milliseconds. */
  readonly monotonic: () => number;
}

/** Counts connections that were refused by their PROXY header; the log names one a minute. */
export class RefusedHeaders {
  readonly #metrics: Metrics;
  readonly #warn: ReturnType<typeof seldom>;

  constructor({ sink, metrics, monotonic }: RefusedHeadersDeps) {
    this.#metrics = metrics;
    this.#warn = seldom(sink, monotonic, 'nowhere');
  }

  count(listener: string, reason: HeaderRefusal, socket: Ends): void {
    this.#metrics.add('proxy_protocol_refused_total', 1, { listener, reason });
    const { remoteAddress: host = 'unknown', remotePort: port = 0 } = socket;
    this.#warn('a connection was refused by its PROXY header', {
      ...{ listener, reason, peer: formatHostPort({ host, port }) },
      advice: advice[reason],
    });
  }
}
