import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ended, until } from '../harness/run-program.ts';

/** The ports of a proxy, or of the balancer before it. */
export interface FrontPorts {
  readonly web: number;
  readonly ssh: number;
  readonly tunnel: number;
}

/** A proxy behind the balancer, in the place of 10.0.0.11 or 10.0.0.12 in the examples. */
export interface BehindBalancer {
  readonly ports: FrontPorts;
  /** Where it answers `/readyz`. */
  readonly diagPort: number;
}

export interface BalancerPlace {
  /** For what it needs to write. */
  readonly dir: string;
  readonly ports: FrontPorts;
  readonly behind: readonly BehindBalancer[];
  /** The address from which it calls the proxies. */
  readonly address: string;
  /** Certificate and key that it shows. */
  readonly web: { readonly certificate: string; readonly key: string };
}

export interface RealBalancer {
  close(): Promise<void>;
}

const usual: readonly (readonly [number, keyof FrontPorts])[] = [
  [3080, 'web'],
  [3023, 'ssh'],
  [3024, 'tunnel'],
];

/** The example with addresses, ports and files of the test in place of its own; all else as it stands. */
function placed(name: string, { dir, ports, behind, address, web }: BalancerPlace): string {
  let text = readFileSync(join('examples/balancers', name), 'utf8');
  for (const [i, proxy] of behind.entries())
    for (const [port, what] of usual)
      text = text.replaceAll(`10.0.0.1${i + 1}:${port}`, `127.0.0.1:${proxy.ports[what]}`);
  for (const [i, { diagPort }] of behind.entries())
    text = text.replaceAll(new RegExp(`(server proxy${i + 1} \\S+)`, 'g'), `$1 port ${diagPort}`);
  const at = { 443: ports.web, 3023: ports.ssh, 3024: ports.tunnel };
  for (const [port, own] of Object.entries(at))
    text = text
      .replaceAll(`bind :${port}`, `bind 127.0.0.1:${own}`)
      .replaceAll(new RegExp(`listen ${port}\\b`, 'g'), `listen 127.0.0.1:${own}`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(dir, kind)};`)
    .join(' ');
  return text
    .replace(/default-server (.*)check port 3434/, `default-server source ${address} $1check`)
    .replace('proxy_connect_timeout 5s;', `proxy_connect_timeout 5s; proxy_bind ${address};`)
    .replace('proxy_http_version 1.1;', `proxy_http_version 1.1; proxy_bind ${address};`)
    .replace('access_log off;', `access_log off; ${temporary}`)
    .replace('pid /run/nginx.pid;', `pid ${join(dir, 'nginx.pid')}; daemon off;`)
    .replace('error_log /var/log/nginx/error.log;', 'error_log stderr;')
    .replace('worker_connections 20000;', 'worker_connections 500;')
    .replace('maxconn 20000', 'maxconn 500')
    .replace('/etc/haproxy/teleport.pem', join(dir, 'teleport.pem'))
    .replace('/etc/nginx/teleport.crt', web.certificate)
    .replace('/etc/nginx/teleport.key', web.key);
}

/** Starts HAProxy or nginx by an example; resolves when it takes connections. */
export async function startRealBalancer(name: string, place: BalancerPlace): Promise<RealBalancer> {
  const config = join(place.dir, name);
  writeFileSync(config, placed(name, place));
  writeFileSync(
    join(place.dir, 'teleport.pem'),
    [place.web.certificate, place.web.key].map((file) => readFileSync(file, 'utf8')).join(''),
  );
  const child = name.startsWith('haproxy')
    ? spawn('/usr/sbin/haproxy', ['-db', '-f', config])
    : spawn('/usr/sbin/nginx', ['-e', 'stderr', '-c', config]);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data: Buffer) => (said += data.toString()));
  for (const port of [place.ports.web, place.ports.ssh])
    await until(`${name} to listen`, async () => {
      if (child.exitCode !== null) throw new Error(`${name} ended: ${said}`);
      return (await takes(port)) ? true : undefined;
    });
  return { close: () => ended(child) };
}

const takes = (port: number): Promise<boolean> =>
  new Promise((settle) => {
    const socket = connect(port, '127.0.0.1');
    const done = (is: boolean) => () => {
      socket.destroy();
      settle(is);
    };
    socket.once('connect', done(true)).once('error', done(false));
  });
