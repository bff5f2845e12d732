import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { messageOf } from '../../../src/base/errors.ts';
import { type EtcdCluster, etcdctl, type EtcdMember } from '../../harness/etcd-server.ts';
import type { Fault } from './schedule.ts';
import type { Seat, Stand } from './stand.ts';

const membersKey = 'members';

/** Lets faults happen one after the other, and resolves when all are over. */
export async function happen(stand: Stand, faults: readonly Fault[]): Promise<void> {
  const running: Promise<void>[] = [];
  for (const fault of faults) {
    await delay(fault.afterMs);
    running.push(one(stand, fault));
  }
  await Promise.all(running);
}

function one(stand: Stand, fault: Fault): Promise<void> {
  const { lock, cluster } = stand;
  switch (fault.kind) {
    case 'links':
      return spoil(seatOf(stand, fault.seat), fault);
    case 'stop auth':
    case 'kill auth': {
      const seat = seatOf(stand, fault.seat);
      return lock.hold([seat.name], () =>
        fault.kind === 'stop auth' ? sleep(seat, fault) : die(stand, seat, fault),
      );
    }
    case 'clock': {
      const seat = seatOf(stand, fault.seat);
      return lock.hold([seat.name], () => seat.auth.must({ kind: 'clock', hours: fault.hours }));
    }
    case 'stop member':
    case 'kill member': {
      const member = memberOf(cluster, fault.member);
      return lock.hold([membersKey], () =>
        fault.kind === 'stop member' ? stopMember(member, fault) : killMember(member, fault),
      );
    }
    case 'quota':
      return lock.hold([membersKey], () => fill(cluster, fault.lastsMs));
    case 'compaction':
      return lock.hold([membersKey], () => compact(cluster));
  }
}

export function seatOf({ seats }: Stand, index: number): Seat {
  const seat = seats[index];
  if (seat === undefined) throw new Error(`there is no seat ${index}`);
  return seat;
}

function memberOf({ members }: EtcdCluster, index: number): EtcdMember {
  const member = members[index];
  if (member === undefined) throw new Error(`there is no member ${index}`);
  return member;
}

async function spoil({ links }: Seat, fault: Fault & { kind: 'links' }): Promise<void> {
  const spoilt = fault.members.map((index) => links[index]);
  for (const link of spoilt) link?.suffer(fault.fault);
  await delay(fault.lastsMs);
  for (const link of spoilt) link?.heal();
}

async function sleep({ auth }: Seat, { lastsMs }: Fault): Promise<void> {
  auth.signal('SIGSTOP');
  await delay(lastsMs);
  auth.signal('SIGCONT');
}

async function die(stand: Stand, seat: Seat, { lastsMs }: Fault): Promise<void> {
  await seat.auth.kill();
  await delay(lastsMs / 4);
  await stand.start(seat);
}

async function stopMember(member: EtcdMember, { lastsMs }: Fault): Promise<void> {
  const pid = member.pid();
  process.kill(pid, 'SIGSTOP');
  await delay(lastsMs);
  process.kill(pid, 'SIGCONT');
}

async function killMember(member: EtcdMember, { lastsMs }: Fault): Promise<void> {
  await member.kill();
  await delay(lastsMs / 2);
  await member.start();
}

const fillerBytes = 1024 * 1024;

/** Somebody else fills etcd up to its quota; after a while an operator makes room. */
async function fill(cluster: EtcdCluster, lastsMs: number): Promise<void> {
  const client = new Etcd3({ hosts: [...cluster.urls] });
  const piece = randomBytes(fillerBytes);
  try {
    for (let n = 0; ; n++) await client.put(`filler/${n}`).value(piece);
  } catch (e) {
    if (!messageOf(e).includes('space exceeded')) throw e;
  } finally {
    client.close();
  }
  await delay(lastsMs);
  await etcdctl(cluster, 'del --prefix filler/');
  await compact(cluster);
  for (const url of cluster.urls) await etcdctl({ urls: [url] }, 'defrag');
  await etcdctl(cluster, 'alarm disarm');
}

async function compact(cluster: EtcdCluster): Promise<void> {
  const found = JSON.parse(await etcdctl(cluster, 'get nothing -w json')) as { header: { revision: number } };
  await etcdctl(cluster, `compact ${found.header.revision}`).catch((e: unknown) => {
    // The log may have asked for the same meanwhile.
    if (!messageOf(e).includes('compacted')) throw e;
  });
}
