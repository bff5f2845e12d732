import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Cluster } from '../harness/cluster.ts';

/** An answer of a proxy, in which a lie may change anything. */
export type Told = Record<string, unknown>;

/**
 * A web port with the certificate of the cluster's own proxy: passes every request on, and changes the
 * answers by `lie`. Set `lie` at any time.
 */
export interface LyingProxy {
  readonly port: number;
  /** Bodies that came with a login. */
  readonly logins: Told[];
  lie: (path: string, told: Told) => void;
  close(): Promise<void>;
}

export async function startLyingProxy(cluster: Pick<Cluster, 'dataDir' | 'ports'>): Promise<LyingProxy> {
  const file = (name: string): Buffer => readFileSync(join(cluster.dataDir, name));
  const logins: Told[] = [];
  const passOn = async (
    path: string,
    method: string,
    body: string,
  ): Promise<{ status: number; told: Told }> =>
    new Promise((resolve, reject) => {
      const asked = request(
        { host: '127.0.0.1', port: cluster.ports.web, path, method, rejectUnauthorized: false },
        (answer) => {
          text(answer).then((told) => {
            resolve({ status: answer.statusCode ?? 0, told: JSON.parse(told) as Told });
          }, reject);
        },
      );
      asked.on('error', reject);
      asked.setHeader('content-length', Buffer.byteLength(body));
      asked.end(body);
    });
  const server = createServer(
    { key: file('webproxy_key.pem'), cert: file('webproxy_cert.pem') },
    (incoming, response) => {
      void text(incoming).then(async (body) => {
        const path = incoming.url ?? '';
        if (body !== '') logins.push(JSON.parse(body) as Told);
        const { status, told } = await passOn(path, incoming.method ?? '', body);
        proxy.lie(path, told);
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(told));
      });
    },
  );
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const proxy: LyingProxy = {
    port: (server.address() as AddressInfo).port,
    logins,
    lie: () => undefined,
    close: () =>
      new Promise((closed) => {
        server.close(() => {
          closed();
        });
        server.closeAllConnections();
      }),
  };
  return proxy;
}
