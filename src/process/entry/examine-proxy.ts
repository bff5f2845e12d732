import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { unverifiedServer } from '../../api/tls-dial.ts';
import { CodedError, messageOf } from '../../base/errors.ts';
import { exchange } from '../../base/http-exchange.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { second } from '../../base/time.ts';
import { signalAfter } from '../../base/timers.ts';
import { plainBanners } from '../../ssh/server-banner.ts';
import { askProxy } from './ask-proxy.ts';
import { openWay, type Way, waysTo, wayText } from './open-way.ts';

/** One way that somebody takes to a proxy. */
export interface Finding {
  readonly visitor: 'a browser' | 'tsh and ssh' | 'a node';
  readonly way: string;
  /** `note` and `why` are for people. */
  readonly result:
    { readonly status: 'works'; readonly note: string } | { readonly status: 'fails'; readonly why: string };
  /** What to change where it fails; empty where another way makes up for it. */
  readonly advice: string;
}

const patienceMs = 5 * second;
const mostAnswerBytes = 64 * 1024;

/**
 * What a browser, tsh and a node find at the web address of a proxy, or of the balancer before it, by each
 * way that they may take. Nothing secret is sent, and nothing that is answered is trusted.
 */
export async function examineProxy(address: HostPort, env: NodeJS.ProcessEnv): Promise<readonly Finding[]> {
  const web = await examineWeb(address);
  const answer = await askProxy(address, env, signalAfter(2 * patienceMs)).catch(() => undefined);
  if (answer === undefined) return web;
  const ways = (ports: readonly HostPort[]): readonly Way[] => waysTo(address, ports, answer.scheme);
  return [
    ...web,
    // Without 3023 tsh goes by the web port; ssh alone does not.
    ...(await tryWays('tsh and ssh', ways(answer.sshAddresses), (way) => sshBanner(way, env))),
    ...(await tryWays('a node', ways(answer.tunnelAddresses), (way) => greetingOfAuth(address, way, env))),
  ];
}

/** What to change when none of the ways works. */
const openOne = {
  'tsh and ssh':
    'open the SSH port (proxy_service.listen_addr) or let the web port pass what is not HTTP, or upgrades of connections',
  'a node':
    'open the tunnel port (proxy_service.tunnel_listen_addr), or let the web port pass TLS as it is, or upgrades of connections ' +
    '(Upgrade: teleport); and see whether the proxy reaches its auth servers (/readyz of the proxy)',
};

/** One after the other: what is examined may count connections. */
async function tryWays(
  visitor: keyof typeof openOne,
  ways: readonly Way[],
  look: (way: Way) => Promise<string>,
): Promise<readonly Finding[]> {
  const all: Finding[] = [];
  for (const way of ways) all.push(await found(visitor, wayText(way), () => look(way)));
  return all.some(({ result }) => result.status === 'works')
    ? all
    : all.map((one) => ({ ...one, advice: openOne[visitor] }));
}

async function found(
  visitor: Finding['visitor'],
  way: string,
  look: () => Promise<string>,
): Promise<Finding> {
  try {
    return { visitor, way, result: { status: 'works', note: await look() }, advice: '' };
  } catch (e) {
    return { visitor, way, result: { status: 'fails', why: messageOf(e) }, advice: '' };
  }
}

async function examineWeb(address: HostPort): Promise<readonly Finding[]> {
  const ask = async (scheme: string, checked: boolean): Promise<string> => {
    const { status, text } = await exchange({
      url: new URL(`${scheme}://${formatHostPort(address)}/webapi/ping`),
      method: 'GET',
      headers: { accept: 'application/json' },
      signal: signalAfter(patienceMs),
      maxAnswerBytes: mostAnswerBytes,
      check: checked ? { status: 'checked', ca: undefined } : { status: 'unchecked' },
    });
    if (status !== 200) throw new CodedError('unavailable', `it answers ${status}`);
    const version = /"server_version":"([\w.+-]{1,64})"/.exec(text)?.[1];
    if (version === undefined) throw new CodedError('unavailable', 'what answers there is no proxy');
    return `version ${version}`;
  };
  const way = `https://${formatHostPort(address)}`;
  const checked = await found('a browser', way, () => ask('https', true));
  if (checked.result.status === 'works') return [checked];
  const unchecked = await found('a browser', way, () => ask('https', false));
  if (unchecked.result.status === 'works')
    return [
      {
        ...checked,
        advice:
          'the certificate is not one that this machine trusts: set proxy_service.https_cert_file and https_key_file (or those of ' +
          'the balancer) to a pair that your people trust; tsh takes --insecure or SSL_CERT_FILE meanwhile',
      },
    ];
  const plain = await found('a browser', `http://${formatHostPort(address)}`, () => ask('http', false));
  if (plain.result.status === 'works')
    return [
      {
        ...checked,
        advice:
          'it speaks plain HTTP: have the balancer end TLS before it, or start the proxy without --insecure-no-tls',
      },
      plain,
    ];
  return [
    {
      ...checked,
      advice: 'nothing that is a proxy answers there: is it the web address (proxy_service.web_listen_addr)?',
    },
  ];
}

async function sshBanner(way: Way, env: NodeJS.ProcessEnv): Promise<string> {
  const signal = signalAfter(patienceMs);
  const stream = await openWay(way, env, signal);
  try {
    stream.write('SSH-2.0-doctor\r\n');
    const text = await firstBytes(stream, signal);
    if (!text.startsWith(plainBanners[0]))
      throw new CodedError('unavailable', 'what answers there is no SSH server of ours');
    return 'SSH';
  } finally {
    stream.destroy();
  }
}

function firstBytes(stream: Duplex, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      reject(new CodedError('unavailable', why));
    };
    stream.once('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1'));
    });
    stream.on('error', (e) => {
      fail(e.message);
    });
    stream.once('close', () => {
      fail('it closed the connection');
    });
    signal.addEventListener('abort', () => {
      fail('it sends nothing');
    });
  });
}

async function greetingOfAuth(web: HostPort, way: Way, env: NodeJS.ProcessEnv): Promise<string> {
  const server = unverifiedServer(web, (_address, signal) => openWay(way, env, signal));
  (await server.connect(signalAfter(patienceMs))).destroy();
  return 'an auth server answers through it';
}

/** Whether the name means an address, and something listens there. @throws CodedError `unavailable` */
export function reach({ host, port }: HostPort): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: patienceMs });
    const fail = (why: string): void => {
      socket.destroy();
      reject(new CodedError('unavailable', why));
    };
    socket.once('error', (e) => {
      fail(e.message);
    });
    socket.once('timeout', () => {
      fail(`no answer in ${patienceMs / second} s`);
    });
    socket.once('connect', () => {
      const at = socket.remoteAddress ?? host;
      socket.destroy();
      resolve(at);
    });
  });
}
