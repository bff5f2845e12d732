import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { text } from 'node:stream/consumers';
import type { EtcdOptions } from './options.ts';
import { usesTls } from './options.ts';
import { readTlsFiles } from './tls-files.ts';

const timeoutMs = 3_000;

/**
 * The quota of one peer's database in bytes, from its page of metrics: the protocol itself does not tell it before 3.6.
 * Undefined when the peer has no such page on this address, or no quota.
 */
export async function quotaOf(peer: string, options: EtcdOptions): Promise<number | undefined> {
  const page = await metricsOf(peer, options).catch(() => undefined);
  return page === undefined ? undefined : quotaIn(page);
}

/** The quota in a page of Prometheus metrics. */
export function quotaIn(page: string): number | undefined {
  const bytes = Number(/^etcd_server_quota_backend_bytes (\S+)$/m.exec(page)?.[1]);
  return Number.isFinite(bytes) && bytes > 0 ? bytes : undefined;
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
