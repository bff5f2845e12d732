import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdCluster, startEtcd } from '../../harness/etcd-server.ts';
import { KeyedLock } from '../../../src/log/keyed-lock.ts';
import { AuthProcess } from './auth-process.ts';
import { type BadLink, badLink } from './bad-link.ts';
import type { Operation, Restore } from './history.ts';

const size = 3;
/** Little enough to be filled in seconds. */
const quotaBytes = 24 * 1024 * 1024;

/** An auth server's place: whichever process runs there, and its links to the members of etcd. */
export interface Seat {
  readonly name: string;
  readonly links: readonly BadLink[];
  auth: AuthProcess;
}

/**
 * Three members of etcd, three auth servers, a link that can be spoilt between each two, and what happened.
 */
export interface Stand {
  readonly directory: string;
  readonly cluster: EtcdCluster;
  readonly seats: readonly Seat[];
  /** All processes that there were. */
  readonly auths: AuthProcess[];
  readonly operations: Operation[];
  readonly restores: Restore[];
  /** Who does something to a seat, or to the members of etcd, does it alone. */
  readonly lock: KeyedLock;
  /** Starts another process in a seat. */
  start(seat: Seat): Promise<void>;
  close(): Promise<void>;
}

export async function openStand(): Promise<Stand> {
  const directory = mkdtempSync(join(tmpdir(), 'store-trial-'));
  const cluster = await startEtcd(size, [`--quota-backend-bytes=${quotaBytes}`]);
  const auths: AuthProcess[] = [];
  const launch = (name: string, links: readonly BadLink[]): AuthProcess => {
    const made = new AuthProcess(
      `${name}.${auths.length}`,
      join(directory, 'keyring'),
      links.map(({ url }) => url),
    );
    auths.push(made);
    return made;
  };
  const seats = await Promise.all(
    Array.from({ length: size }, async (_, i): Promise<Seat> => {
      const name = `auth-${i}`;
      const links = await Promise.all(cluster.urls.map((url) => badLink(Number(new URL(url).port))));
      return { name, links, auth: launch(name, links) };
    }),
  );
  const stand: Stand = {
    directory,
    cluster,
    seats,
    auths,
    operations: [],
    restores: [],
    lock: new KeyedLock(),
    start: async (seat) => {
      seat.auth = launch(seat.name, seat.links);
      await seat.auth.ready();
    },
    close: async () => {
      await Promise.all(auths.map((one) => one.kill()));
      await Promise.all(seats.flatMap(({ links }) => links.map((link) => link.close())));
      await cluster.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  try {
    await Promise.all(seats.map(({ auth }) => auth.ready()));
  } catch (e) {
    await stand.close();
    throw e;
  }
  return stand;
}
