import { exchange } from '../../src/base/http-exchange.ts';
import { signalAfter } from '../../src/base/timers.ts';
import type { EtcdOptions } from './options.ts';
import { usesTls } from './options.ts';
import { readTlsFiles } from './tls-files.ts';

const timeoutMs = 3_000;
/** Of a busy peer it is some 100 KiB. */
const maxAnswerBytes = 16 * 1024 * 1024;

/**
 * Of one peer's database, in bytes, as far as its metrics page has them. No quota: it has none, or the page
 * does not show it.
 */
export interface Gauges {
  readonly quota: number | undefined;
  readonly size: number | undefined;
  readonly used: number | undefined;
}

/**
 * From the peer's metrics page, which needs no login: the protocol does not report the quota before 3.6, and
 * from then on reports sizes only to root. Undefined when the peer has no such page on this address.
 */
export async function gaugesOf(peer: string, options: EtcdOptions): Promise<Gauges | undefined> {
  const page = await metricsOf(peer, options).catch(() => undefined);
  return page === undefined ? undefined : gaugesIn(page);
}

/** What a page of Prometheus metrics says. */
export function gaugesIn(page: string): Gauges {
  const bytesOf = (name: string): number | undefined => {
    const bytes = Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1]);
    return Number.isFinite(bytes) && bytes > 0 ? bytes : undefined;
  };
  return {
    quota: bytesOf('etcd_server_quota_backend_bytes'),
    size: bytesOf('etcd_mvcc_db_total_size_in_bytes'),
    used: bytesOf('etcd_mvcc_db_total_size_in_use_in_bytes'),
  };
}

async function metricsOf(peer: string, options: EtcdOptions): Promise<string> {
  const scheme = usesTls(peer, options) ? 'https' : 'http';
  const { ca, client } = readTlsFiles(options);
  const { status, text } = await exchange({
    url: new URL(`${scheme}://${peer.replace(/^https?:\/\//, '')}/metrics`),
    method: 'GET',
    headers: {},
    signal: signalAfter(timeoutMs),
    maxAnswerBytes,
    check: options.insecure ? { status: 'unchecked' } : { status: 'checked', ca: ca && [ca] },
    client,
  });
  if (status !== 200) throw new Error(`status ${status}`);
  return text;
}
