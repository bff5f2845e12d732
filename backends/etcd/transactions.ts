import type { ICompare, IRequestOp, ITxnRequest, ITxnResponse } from 'etcd3';
import type { Act, Peers } from './peers.ts';

export interface Found {
  readonly key: string;
  readonly value: Buffer;
  /** Of etcd, when it was written. */
  readonly revision: string;
}

export interface Page {
  readonly found: readonly Found[];
  /** The range contains more than the limit. */
  readonly more: boolean;
}

export interface Answer {
  readonly succeeded: boolean;
  /** Of etcd, after it. */
  readonly revision: string;
  /** The results of the ranges in the branch that was taken, in order. */
  readonly pages: readonly Page[];
}

export interface Range {
  readonly from: string | Buffer;
  readonly end: string;
  readonly limit?: number;
  readonly keysOnly?: boolean;
  /** Of etcd: as it was then. */
  readonly revision?: string;
}

const bytes = (of: string | Uint8Array): Buffer =>
  typeof of === 'string' ? Buffer.from(of) : Buffer.from(of.buffer, of.byteOffset, of.byteLength);

export const absent = (key: string): ICompare => ({
  key: bytes(key),
  target: 'Version',
  result: 'Equal',
  version: 0,
});
export const present = (key: string): ICompare => ({
  key: bytes(key),
  target: 'Version',
  result: 'Greater',
  version: 0,
});
export const holding = (key: string, value: string | Uint8Array): ICompare => ({
  key: bytes(key),
  target: 'Value',
  result: 'Equal',
  value: bytes(value),
});
/**
 * Unchanged since it was found, or not found. Unlike its value, a revision never comes again: a request that
 * arrives late finds another.
 */
export const unchanged = (key: string, found: Found | undefined): ICompare =>
  found === undefined ? absent(key) : revisionIs(key, found.revision);
export const revisionIs = (key: string, revision: string): ICompare => ({
  key: bytes(key),
  target: 'Mod',
  result: 'Equal',
  mod_revision: revision,
});

export const put = (key: string, value: string | Uint8Array): IRequestOp => ({
  request_put: { key: bytes(key), value: bytes(value) },
});
export const get = (key: string): IRequestOp => ({ request_range: { key: bytes(key) } });
/** Whether it is there, without its value. */
export const look = (key: string): IRequestOp => ({ request_range: { key: bytes(key), keys_only: true } });
export const getRange = ({ from, end, limit = 0, keysOnly = false, revision = '0' }: Range): IRequestOp => ({
  request_range: { key: bytes(from), range_end: bytes(end), limit, keys_only: keysOnly, revision },
});
export const deleteRange = ({ from, end }: Range): IRequestOp => ({
  request_delete_range: { key: bytes(from), range_end: bytes(end) },
});

export type Transaction = Pick<ITxnRequest, 'compare' | 'success' | 'failure'>;

/** A transaction that only reads: linearizable, at one revision. */
export const readAll = async (
  peers: Pick<Peers, 'call'>,
  transaction: Transaction | readonly IRequestOp[],
): Promise<Answer> => answerOf(await peers.call(sending(transaction)));

/** @throws CodedError, UnsettledWrite: see `Peers.write`. */
export const write = async (peers: Pick<Peers, 'write'>, transaction: Transaction): Promise<Answer> =>
  answerOf(await peers.write(sending(transaction)));

const sending =
  (transaction: Transaction | readonly IRequestOp[]): Act<ITxnResponse> =>
  (client, options) => {
    const request = 'length' in transaction ? { success: [...transaction] } : transaction;
    return client.kv.txn({ compare: [], success: [], failure: [], ...request }, options);
  };

const answerOf = ({ succeeded, header, responses }: ITxnResponse): Answer => ({
  succeeded,
  revision: header.revision,
  pages: responses.flatMap(({ response_range: page }) => {
    // Only one kind of response is there, whatever the types say.
    const given = page as typeof page | null | undefined;
    if (!given) return [];
    const found = given.kvs.map(({ key, value, mod_revision: revision }) => ({
      key: key.toString(),
      value,
      revision,
    }));
    return [{ found, more: given.more }];
  }),
});

/** The only key of the n-th range. */
export const oneOf = ({ pages }: Answer, n: number): Found | undefined => pages[n]?.found[0];
