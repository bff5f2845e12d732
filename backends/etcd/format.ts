import { CodedError, isCoded } from '../../src/base/errors.ts';
import { UnsettledWrite } from './answers.ts';
import type { Keys } from './keys.ts';
import type { Peers } from './peers.ts';
import { readRange } from './ranges.ts';
import { settled } from './settling.ts';
import { absent, type Answer, get, look, oneOf, put, readAll, write } from './transactions.ts';

/**
 * Of the keys and values below the prefix. Raised when they change so that an older program must not touch
 * them.
 */
const format = 1;
const oldest = [3, 3] as const;

/**
 * Finds out what is below the prefix, and marks it as ours when it is empty.
 * @throws CodedError `misconfigured` when it belongs to a newer version, or is not ours; `not_found` when
 *   reading an empty one.
 */
export async function claimPrefix(
  peers: Pick<Peers, 'call' | 'write'>,
  keys: Keys,
  prefix: string,
  reading: boolean,
): Promise<void> {
  const mark = oneOf(await readAll(peers, [get(keys.format)]), 0)?.value.toString();
  if (mark !== undefined) {
    checkFormat(mark, prefix);
    if (!reading) await checkRights(peers, keys);
    return;
  }
  for await (const { key } of readRange(peers, { ...keys.all, keysOnly: true })) {
    if (key === keys.format) return;
    throw new CodedError(
      'misconfigured',
      `etcd: the prefix ${prefix} holds something else (${key}), which is not a log of ours: choose another prefix`,
    );
  }
  if (reading) throw new CodedError('not_found', `there is no log in etcd at the prefix ${prefix}`);
  // Of two first starts one writes it, and both write the same.
  await settled(
    async () => {
      await markAsOurs(peers, keys);
      return true;
    },
    async () => (oneOf(await readAll(peers, [look(keys.format)]), 0) ? true : undefined),
  );
}

const markAsOurs = (peers: Pick<Peers, 'write'>, keys: Keys): Promise<Answer> =>
  write(peers, {
    compare: [absent(keys.format)],
    success: [put(keys.format, `teleport-log ${format}\n`)],
  });

/**
 * Write permission is checked while an operator is watching, although nothing is written: the mark is there.
 * A store that is full is opened anyway.
 */
async function checkRights(peers: Pick<Peers, 'write'>, keys: Keys): Promise<void> {
  try {
    await markAsOurs(peers, keys);
  } catch (e) {
    const reason = (e instanceof UnsettledWrite ? e.refusal : undefined) ?? e;
    if (!isCoded(reason, 'no_space')) throw reason;
  }
}

/** Of everything in etcd, as of now: a linearizable read of a key that we may read returns it. */
export async function newestRevision(peers: Peers, keys: Keys): Promise<string> {
  const { header } = await peers.call((client, options) =>
    client.kv.range({ key: Buffer.from(keys.format), count_only: true }, options),
  );
  return header.revision;
}

/** @throws CodedError `misconfigured` */
export function checkFormat(mark: string, prefix: string): void {
  const [, version] = /^teleport-log (\d+)\n$/.exec(mark) ?? [];
  if (version === undefined)
    throw new CodedError(
      'misconfigured',
      `etcd: what is stored at the prefix ${prefix} is not a log of ours`,
    );
  if (Number(version) > format)
    throw new CodedError(
      'misconfigured',
      `etcd: the log at the prefix ${prefix} was written by a newer version of teleport (format ${version}, this one knows ${format}): upgrade`,
    );
}

/**
 * @throws CodedError `misconfigured` for an etcd that is too old, and one that does not report its version.
 */
export function checkVersion(version: string): void {
  const found = /^(\d+)\.(\d+)(?![^.+-])/.exec(version);
  if (found === null)
    throw new CodedError(
      'misconfigured',
      `etcd reports the version ${JSON.stringify(version)}, which is not known`,
    );
  const [major, minor] = [Number(found[1]), Number(found[2])];
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return;
  throw new CodedError('misconfigured', `etcd ${version} is too old: 3.3 or later is needed`);
}
