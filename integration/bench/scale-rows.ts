import type { Bar } from './bars.ts';
import { measureComeBack } from './come-back.ts';
import { measureHiddenEvents, measureReturn } from './followers.ts';
import { measureJoins } from './joins.ts';
import { measureLogins } from './kept-logins.ts';
import { measureHeartbeats } from './heartbeats.ts';
import { measureOldAudit } from './old-audit.ts';
import { measureOpening } from './old-log.ts';
import { measureDecisions, measureOldUser } from './old-user.ts';
import { measureReaders } from './readers.ts';
import { measureIndex, measureListing, measureSnapshot } from './wide.ts';

type Sizes = readonly [number, number, number];
const bothWith = (sizes: Sizes) => ({ dir: sizes, etcd: sizes });

/** Every row, the quick ones first. */
export const bars: readonly Bar[] = [
  {
    ...{ name: 'old-user', of: 'first decision about a user with n logins' },
    ...{ stores: { dir: [2_500, 5_000, 10_000] }, measure: measureOldUser },
  },
  {
    ...{ name: 'decisions', of: 'first decision about each of some of n active users' },
    stores: bothWith([12_500, 25_000, 50_000]),
    measure: measureDecisions,
  },
  {
    ...{ name: 'opening', of: 'a log of n events opened with all folds' },
    stores: { dir: [250_000, 500_000, 1_000_000], etcd: [62_500, 125_000, 250_000] },
    measure: measureOpening,
  },
  {
    ...{ name: 'logins', of: 'what stays in the store of n logins' },
    stores: bothWith([10_000, 20_000, 40_000]),
    measure: measureLogins,
  },
  {
    ...{ name: 'labels', of: 'n nodes, a measured label of each changes each minute' },
    stores: bothWith([2_500, 5_000, 10_000]),
    measure: (n, storage) => measureHeartbeats(n, storage),
  },
  {
    ...{ name: 'listing', of: 'n nodes listed for 20 roles of 50 expressions' },
    ...{ stores: { none: [5_000, 10_000, 20_000] }, measure: measureListing },
  },
  {
    ...{ name: 'readers', of: 'n readers of one snapshot on 1 Gbit/s' },
    ...{ stores: { none: [2_500, 5_000, 10_000] }, measure: measureReaders },
  },
  {
    ...{ name: 'returning', of: 'a node returns that missed n events' },
    ...{ stores: { none: [10_000, 20_000, 40_000] }, measure: measureReturn },
  },
  {
    ...{ name: 'hidden', of: 'an event that none of n followers may see' },
    ...{ stores: { none: [2_500, 5_000, 10_000] }, measure: measureHiddenEvents },
  },
  {
    ...{ name: 'audit', of: 'searches of an audit of n events' },
    ...{ stores: { dir: [50_000, 100_000, 200_000] }, measure: measureOldAudit },
  },
  {
    ...{ name: 'snapshot', of: 'a snapshot of n hosts and n/2 users' },
    ...{ stores: { none: [5_000, 10_000, 20_000] }, measure: measureSnapshot },
  },
  {
    ...{ name: 'index', of: "one of n nodes changes, in a proxy's index" },
    ...{ stores: { none: [25_000, 50_000, 100_000] }, measure: measureIndex },
  },
  {
    ...{ name: 'joins', of: 'n machines join with one token' },
    stores: bothWith([250, 500, 1_000]),
    measure: measureJoins,
  },
  {
    ...{ name: 'come-back', of: 'n nodes come back to an auth server that was killed' },
    ...{ stores: { dir: [250, 500, 1_000] }, measure: measureComeBack },
  },
];
