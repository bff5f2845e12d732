/**
 * Loads ssh2 with our packet layer in place of its own: `protocol/crypto.js` is never run, nor the native
 * parts that may have been built, and `Protocol` is a subclass of ours. Everything here that uses ssh2
 * imports it from this file. If ssh2 moved its files, loading throws; if it stopped requiring these two,
 * `protoOf` (ssh2-internals.ts) does.
 */
import { createRequire } from 'node:module';
import { sep } from 'node:path';
import type ssh2Module from 'ssh2';
import { nodePrimitives } from './node-primitives.ts';
import { loadOpenssl } from './openssl-primitives.ts';
import { ssh2Crypto } from './packet-layer.ts';
import type { PacketPrimitives } from './packet-primitives.ts';
import { inFrontOf } from './packet-protocol.ts';

const requireOf = createRequire(import.meta.url);

/** Seals and opens packets: OpenSSL itself when it can be called. */
function packetPrimitives(): PacketPrimitives {
  const openssl = loadOpenssl();
  return openssl.status === 'loaded' ? openssl.primitives : nodePrimitives;
}

/** One line when packets are sealed by node:crypto, which costs some 50 microseconds each; else undefined. */
export function whyPacketsAreSlow(): string | undefined {
  const openssl = loadOpenssl();
  return openssl.status === 'loaded'
    ? undefined
    : `SSH traffic is several times slower, because OpenSSL cannot be called and node:crypto serves: ${openssl.reason}`;
}

function load(): UsedParts {
  const main = requireOf.resolve('ssh2');
  const root = main.slice(0, main.lastIndexOf(`${sep}lib${sep}`) + 1);
  // A copy that somebody else loaded has its own packet layer, so we load our own copy.
  for (const file of Object.keys(requireOf.cache))
    if (file.startsWith(root)) Reflect.deleteProperty(requireOf.cache, file);
  const put = (file: string, exports: unknown): void => {
    const id = requireOf.resolve(file, { paths: [root] });
    requireOf.cache[id] = {
      id,
      filename: id,
      path: root,
      exports,
      loaded: true,
      children: [],
      paths: [],
    } as never;
  };
  try {
    put('cpu-features', () => undefined); // native, and only to order ciphers that we order ourselves
  } catch {
    // not installed, which is fine
  }
  put(`${root}lib/protocol/crypto.js`, ssh2Crypto(packetPrimitives));
  const protocol = `${root}lib/protocol/Protocol.js`;
  put(protocol, inFrontOf(requireOf(protocol) as never));
  return {
    get Client() {
      return part('client') as Library['Client'];
    },
    get Server() {
      return part('server') as Library['Server'];
    },
    get BaseAgent() {
      return (part('agent') as Pick<Library, 'BaseAgent'>).BaseAgent;
    },
    get parseKey() {
      return (part('protocol/keyParser') as Pick<Library['utils'], 'parseKey'>).parseKey;
    },
  };
}

type Library = typeof ssh2Module;

/** What we use of it. Each part is loaded when it is first asked for: a client needs no server. */
type UsedParts = Pick<Library, 'Client' | 'Server' | 'BaseAgent'> & Pick<Library['utils'], 'parseKey'>;

const part = (file: string): unknown => requireOf(`ssh2/lib/${file}.js`);

export const ssh2 = load();

/** Parts of it that it does not export. */
export const ssh2Part = (file: 'constants' | 'utils'): unknown => part(`protocol/${file}`);
