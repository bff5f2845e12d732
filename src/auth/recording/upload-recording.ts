import { uploadRecording as row } from '../../api/operations/recording.ts';
import type { Caller } from '../../api/operation.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { ChainEnd } from '../../recording/chunk.ts';
import { implementing } from '../implementing.ts';
import { whoseTelling } from '../limits/quota-rules.ts';
import { chunksIn } from '../../recording/chunks-in.ts';

type Recording = Extract<Caller, { kind: 'host' }>;

function recorderOf(caller: Caller): Recording {
  if (caller.kind === 'host' && (caller.role === 'Node' || caller.role === 'Proxy')) return caller;
  throw new CodedError('access_denied', 'only nodes and proxies record sessions');
}

/** Stores chunks of a session that the caller records. */
export const uploadRecording = implementing(row, async (deps, call, input) => {
  const caller = recorderOf(call.caller);
  const { sid, user, sealedKey, first } = input;
  const { store, keys } = deps.recordings;
  const bytes = Buffer.from(input.chunks, 'base64');
  const chunks = chunksIn(sid, bytes);
  const begins = chunks[0]?.head.number ?? first;
  if (begins !== first)
    throw new CodedError('bad_request', `first is ${first}, and the first chunk is ${begins}`);
  const giveBack = deps.quotas.take(whoseTelling(caller), { recording_bytes: bytes.length });
  try {
    const whose = { hostId: caller.hostId, user };
    const session =
      (await keys.find(sid)) ?? (await keys.begin(sid, Buffer.from(sealedKey, 'base64'), whose));
    if (session.hostId !== caller.hostId)
      throw new CodedError('access_denied', `session ${sid} is recorded by another machine`);
    call.deadline.begin();
    return { ...answerOf(await store.store(sid, chunks)), place: store.place(sid) };
  } catch (e) {
    // While the store is away the sender tries again and again, through no fault of its own.
    if (isCoded(e, 'unavailable') || isCoded(e, 'no_space')) giveBack();
    throw e;
  }
});

export const answerOf = ({
  next,
  hash,
  isOver,
}: ChainEnd): { next: number; head: string; isOver: boolean } => ({
  next,
  head: hash.toString('hex'),
  isOver,
});
