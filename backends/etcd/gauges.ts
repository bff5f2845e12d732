import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { text } from 'node:stream/consumers';
import type { EtcdOptions } from './options.ts';
import { usesTls } from './options.ts';
import { readTlsFiles } from './tls-files.ts';

const timeoutMs = 3_000;

/** Of one peer's database, in bytes, as far as its page of metrics tells. No quota: it has none, or the page not. */
export interface Gauges {
  readonly quota: number | undefined;
  readonly size: number | undefined;
  readonly used: number | undefined;
}

/**
 * From the peer's page of metrics, which asks nobody for a name: the protocol does not tell the quota before 3.6, and
 * from then on tells sizes only to root. Undefined when the peer has no such page on this address.
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

function metricsOf(peer: string, options: EtcdOptions): Promise<string> {
  const address = peer.replace(/^https?:\/\//, '');
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const sent = usesTls(peer, options)
      ? secure(`https://${address}/metrics`, { ...tlsOf(options), agent: false, signal })
      : plain(`http://${address}/metrics`, { agent: false, signal });
    sent.on('error', reject);
    sent.on('response', (answer) => {
      if (answer.statusCode === 200) text(answer).then(resolve, reject);
      else {
        answer.resume();
        reject(new Error(`status ${answer.statusCode ?? 0}`));
      }
    });
    sent.end();
  });
}

const tlsOf = (options: EtcdOptions): object => {
  const { ca, client } = readTlsFiles(options);
  return { ...(ca && { ca }), ...client, rejectUnauthorized: !options.insecure };
};
