import { z } from 'zod';
import { CodedError, isCoded } from '../../base/errors.ts';
import { recordingFact } from '../../domain/recording.ts';
import { recordingStream } from '../../domain/streams.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { type BoxKeys, openBox } from '../../pki/sealed-box.ts';

/** What is kept of a recorded session, in the vault, under its id. Small: a key service may wrap it. */
const kept = z.object({
  /** Base64, 32 bytes. */
  key: z.string(),
  /** The machine that records. */
  hostId: z.string(),
  /** Whose session it is. */
  user: z.string(),
});

export interface RecordedSession {
  readonly key: Buffer;
  readonly hostId: string;
  readonly user: string;
}

const nameOf = (sid: string): string => `recording.${sid}`;
/** Bound to the sealed key of a session. */
export const sealedFor = (sid: string): string => `recording ${sid}`;

/** The keys of recorded sessions. */
export class SessionKeys {
  readonly #log: Pick<ClusterLog, 'keys' | 'state'>;
  #boxes: readonly BoxKeys[] = [];

  constructor(log: Pick<ClusterLog, 'keys' | 'state'>) {
    this.#log = log;
  }

  /** Undefined for one that was never recorded, or was erased. */
  async find(sid: string): Promise<RecordedSession | undefined> {
    const bytes = await this.#log.keys.open(nameOf(sid));
    if (bytes === undefined) return undefined;
    const { key, ...rest } = kept.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return { ...rest, key: Buffer.from(key, 'base64') };
  }

  /**
   * Keeps the key of a session, which was sealed for the cluster. Another one with this id stays.
   * @throws CodedError `not_found` when it was erased; `damaged` for a key that does not open.
   */
  async begin(
    sid: string,
    sealedKey: Uint8Array,
    whose: Pick<RecordedSession, 'hostId' | 'user'>,
  ): Promise<RecordedSession> {
    const key = await this.#open(sealedKey, sealedFor(sid));
    if (key.length !== 32) throw new CodedError('damaged', 'a sealed key does not open');
    const { hostId, user } = whose;
    const text = JSON.stringify({ key: key.toString('base64'), hostId, user });
    if ((await this.#log.keys.create(nameOf(sid), Buffer.from(text))) === 'created')
      return { key, hostId, user };
    const before = await this.find(sid);
    if (before === undefined)
      throw new CodedError('not_found', `the recording of session ${sid} was erased: it takes nothing more`);
    return before;
  }

  erase(sid: string): Promise<void> {
    return this.#log.keys.destroy(nameOf(sid));
  }

  forget(sid: string): Promise<void> {
    return this.#log.keys.forget(nameOf(sid));
  }

  async #open(sealed: Uint8Array, context: string): Promise<Buffer> {
    try {
      return this.#openWith(sealed, context);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      // Another auth server may have made a key meanwhile.
      await this.#readBoxes();
      return this.#openWith(sealed, context);
    }
  }

  #openWith(sealed: Uint8Array, context: string): Buffer {
    for (const box of this.#boxes)
      try {
        return openBox(box, sealed, context);
      } catch (e) {
        if (!isCoded(e, 'damaged')) throw e;
      }
    throw new CodedError('damaged', 'a sealed key does not open');
  }

  async #readBoxes(): Promise<void> {
    const boxes: BoxKeys[] = [];
    for await (const event of this.#log.state.read(recordingStream)) {
      const fact = recordingFact.safeParse(event.fact).data;
      if (fact?.type !== 'recording.key_made') continue;
      const privateKey = Buffer.from(await this.#log.state.unseal(event, 'privateKey'));
      boxes.push({ privateKey, publicKey: Buffer.from(fact.data.publicKey, 'base64') });
    }
    this.#boxes = boxes;
  }
}
