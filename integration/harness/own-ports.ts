import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

/*
 * What test processes of one machine must not take from each other. A name is reserved by listening on an
 * abstract socket: the kernel lets one process have it, and takes it back when that process ends, however it
 * ends.
 */

/** Reserves a name for this process, until it ends; false when another process has it. */
export const reserve = async (name: string): Promise<boolean> => (await hold(name)) !== undefined;

/** A number below `limit` that is this process's until it ends. */
export async function ownNumber(kind: string, limit: number): Promise<number> {
  for (let n = 0; n < limit; n++) if (await reserve(`${kind}/${n}`)) return n;
  throw new Error(`others have each ${kind} from 0 to ${limit - 1}`);
}

/** Runs `act` while no other process of this machine runs its own under that name; waits for its turn. */
export async function inTurn<T>(name: string, act: () => Promise<T>): Promise<T> {
  for (;;) {
    const held = await hold(name);
    if (held === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      continue;
    }
    try {
      return await act();
    } finally {
      held.close();
    }
  }
}

/** An address has 107 bytes: of the name it has the hash. */
const hold = (name: string): Promise<Server | undefined> =>
  listening({ path: `\0teleport-test/${hash('sha256', name).slice(0, 32)}` });

/** Resolves to undefined when the address is in use. */
function listening(where: { path: string } | { host: string; port: number }): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(where, () => {
      resolve(server);
    });
  });
}

const lowest = 10_000;
/** Browsers open no page there: https://fetch.spec.whatwg.org/#port-blocking. */
const forBrowsersNone: ReadonlySet<number> = new Set([10_080]);
/**
 * Where the kernel takes ports from for connections and for `listen(0)`: it would take one of ours between
 * two uses.
 */
const kernelsFirst = ((): number => {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0]);
  } catch {
    return 32_768; // not Linux, or no right to look
  }
})();
const span = (kernelsFirst > lowest + 1_000 ? kernelsFirst : 32_768) - lowest;
let next = Math.floor(Math.random() * span);

/**
 * Ports of 127.0.0.1 that are this process's until it ends: no other test process is given them, and the
 * kernel gives them to nobody. Nothing listens on them.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > span) throw new Error(`no ${count} free ports from ${lowest} to ${lowest + span - 1}`);
    const port = lowest + (next++ % span);
    if (forBrowsersNone.has(port)) continue;
    if ((await reserve(`port/${port}`)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

/** Whether nothing else of this machine has it, at any address. */
async function isFree(port: number): Promise<boolean> {
  const server = await listening({ host: '0.0.0.0', port });
  if (server === undefined) return false;
  await new Promise((closed) => server.close(closed));
  return true;
}
