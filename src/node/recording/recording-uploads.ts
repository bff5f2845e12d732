import { backoffMs, pause, randomFraction } from '../../base/backoff.ts';
import type { CodedError } from '../../base/errors.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { startTicker } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { AuthClient } from '../../api/client.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { uploadBytes, uploadRecording } from '../../api/operations/recording.ts';
import type { ChunkSink } from '../../recording/chunk-sink.ts';
import { type OpenedRecording, openRecordingFile, type Preamble } from '../../recording/recording-file.ts';
import type { RecordingEnd } from '../../recording/recorder.ts';
import type { OrphanDetails } from './orphan-details.ts';
import type { RecordingSpool, SpoolFile } from './recording-spool.ts';

export type Upload = (input: InputOf<typeof uploadRecording>) => Promise<OutputOf<typeof uploadRecording>>;

/** Files of other processes are looked for at this interval. */
const adoptEveryMs = 15_000;
/** How far a recording that runs may be behind, while auth keeps up. */
const liveEveryMs = 1_000;
const retry = { baseMs: 500, maxMs: 30_000 };
/** Uploads at once: one of a slow store must not hold up the others, and all together not the sessions. */
const mostAtOnce = 4;

/** A recording that auth has whole. */
export interface Uploaded {
  readonly sid: string;
  readonly user: string;
  readonly place: string;
  readonly chunks: number;
  /** Hex. */
  readonly head: string;
}

export interface RecordingUploadsOptions {
  readonly spool: RecordingSpool;
  readonly auth: Pick<AuthClient, 'call'>;
  readonly world: World;
  readonly sink: LogSink;
  /** Durable in the audit when it resolves. */
  readonly tell: {
    uploaded(one: Uploaded): Promise<void>;
    /** A session whose process is gone, and of which the audit may not have the end. */
    interrupted(preamble: Preamble, end: Omit<RecordingEnd, 'lostBytes'>): Promise<void>;
  };
}

/** What is not sent yet. */
interface Job {
  file: SpoolFile;
  /** Recorded by this process, which has not ended. */
  isLive: boolean;
  /** The audit has the end of the session, or this process will tell it. */
  readonly isOwn: boolean;
}

/** How far the sending of one recording is. */
interface Progress {
  /** The next chunk that auth wants. */
  next: number;
  failures: number;
}

type Answer = OutputOf<typeof uploadRecording>;
type Step = { readonly status: 'again' | 'wait' } | { readonly status: 'whole'; readonly answer: Answer };

/** A session that begins to be recorded on this disk. */
export interface Begun {
  readonly sink: ChunkSink;
  ended(end: RecordingEnd): void;
  told(): void;
  /** The session did not begin: what there is of it is deleted. */
  abandoned(): void;
}

/** One that is recorded at auth. */
export interface RemoteBegun {
  /** The audit has the end of the session. Undefined: nothing of it is recorded. */
  told(uploaded: Uploaded | undefined): void;
}

/**
 * Sends what is recorded to auth: while sessions run, after they have ended, and what processes before this
 * one left. Each goes on by itself: one that auth refuses is put aside, and hinders no other.
 */
export class RecordingUploads {
  readonly #options: RecordingUploadsOptions;
  readonly #jobs = new Map<string, Job>();
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  readonly #ticker: { stop(): void };
  #underWay = 0;

  constructor(options: RecordingUploadsOptions) {
    this.#options = options;
    this.#ticker = startTicker(() => {
      this.adopt();
    }, adoptEveryMs);
    this.adopt();
  }

  /** To auth, as this machine. */
  readonly upload: Upload = (input) => this.#options.auth.call(uploadRecording, input);

  /** Recordings that auth does not have whole. */
  get pending(): number {
    return this.#jobs.size;
  }

  begin(preamble: Preamble & { readonly details: OrphanDetails }): Begun {
    const { sink, ...file } = this.#options.spool.create(preamble);
    const job: Job = { file, isLive: true, isOwn: true };
    const begins = Promise.withResolvers<boolean>();
    this.#start(job, begins.promise);
    let wasTold = false;
    return {
      sink: {
        write: async (chunks) => {
          await sink.write(chunks);
          begins.resolve(true);
        },
        close: () => sink.close(),
      },
      ended: ({ chunks }) => {
        begins.resolve(chunks > 0);
        job.isLive = false;
      },
      told: () => {
        wasTold = true;
        if (this.#jobs.has(file.path)) this.#markEnded(job);
      },
      abandoned: () => {
        begins.resolve(false);
        if (!wasTold) this.#background(this.#options.spool.remove(file));
      },
    };
  }

  /**
   * A session whose chunks go to auth at once. A file without any says that it runs: whoever finds that tells
   * how it ended. On a full disk there is none.
   */
  async beginRemote(preamble: Preamble & { readonly details: OrphanDetails }): Promise<RemoteBegun> {
    const { sink, ...file } = this.#options.spool.create(preamble);
    try {
      await sink.write([]);
      await sink.close();
    } catch (e) {
      this.#options.sink.warn('if this process is killed, the end of a session is not recorded', {
        ...{ session: file.sid, reason: messageOf(e) },
      });
    }
    return {
      told: (uploaded) => {
        const { tell, spool } = this.#options;
        const telling = uploaded === undefined ? Promise.resolve() : tell.uploaded(uploaded);
        this.#background(telling.then(() => spool.remove(file)));
      },
    };
  }

  /** Takes over what processes that are gone have left. */
  adopt(): void {
    this.#background(
      this.#options.spool.orphans().then((files) => {
        for (const file of files)
          if (!this.#jobs.has(file.path))
            this.#start({ file, isLive: false, isOwn: false }, Promise.resolve(true));
      }),
    );
  }

  /** What is not sent stays on the disk, for the next process. */
  async stop(): Promise<void> {
    this.#ticker.stop();
    this.#stop.abort();
    for (const go of this.#waiting.splice(0)) go();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #markEnded(job: Job): void {
    this.#background(
      this.#options.spool.mark(job.file, 'ended').then((file) => {
        this.#jobs.delete(job.file.path);
        this.#jobs.set(file.path, job);
        job.file = file;
      }),
    );
  }

  #background(work: Promise<unknown>): void {
    const done = work
      .then(() => undefined)
      .catch((e: unknown) => {
        this.#options.sink.error('a recording on this disk could not be taken care of', {
          reason: messageOf(e),
        });
      });
    this.#running.add(done);
    void done.finally(() => this.#running.delete(done));
  }

  #start(job: Job, begins: Promise<boolean>): void {
    this.#jobs.set(job.file.path, job);
    const run = async (): Promise<void> => {
      try {
        if (await begins) await this.#send(job);
      } finally {
        this.#jobs.delete(job.file.path);
      }
    };
    this.#background(run());
  }

  async #send(job: Job): Promise<void> {
    let recording: OpenedRecording;
    try {
      recording = await openRecordingFile(job.file.path);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      return this.#putAside(job, e);
    }
    try {
      await this.#sendAll(job, recording);
    } catch (e) {
      if (!isCoded(e)) throw e;
      await this.#putAside(job, e);
    } finally {
      await recording[Symbol.asyncDispose]();
    }
  }

  /** @throws CodedError that says it will never be taken. */
  async #sendAll(job: Job, recording: OpenedRecording): Promise<void> {
    const at: Progress = { next: 0, failures: 0 };
    while (!this.#stop.signal.aborted) {
      const step = await this.#step(recording, at, job.isLive ? 'live' : 'over');
      if (step.status === 'whole') return this.#complete(job, recording, step.answer);
      if (step.status === 'wait') await pause(liveEveryMs, this.#stop.signal);
    }
  }

  async #step(recording: OpenedRecording, at: Progress, life: 'live' | 'over'): Promise<Step> {
    const read = await recording.next(uploadBytes);
    const chunks = read.filter(({ head }) => head.number >= at.next);
    if (read.length === 0 && life === 'live') return { status: 'wait' };
    // What auth has already is passed over.
    if (read.length > 0 && chunks.length === 0) return { status: 'again' };
    const first = chunks[0]?.head.number ?? at.next;
    const bytes = Buffer.concat(chunks.map((one) => one.bytes)).toString('base64');
    const answer = await this.#tryOnce(recording, first, bytes, ++at.failures);
    if (answer === undefined) {
      recording.rewind();
      return { status: 'again' };
    }
    at.failures = 0;
    at.next = answer.next;
    if (answer.next < first) {
      recording.rewind();
      return { status: 'wait' };
    }
    if (read.length === 0) return { status: 'whole', answer };
    return { status: life === 'live' ? 'wait' : 'again' };
  }

  /** Undefined when it has to be tried again. @throws CodedError when it will never be taken. */
  async #tryOnce(
    { preamble: { about, sealedKey = '' } }: OpenedRecording,
    first: number,
    chunks: string,
    attempt: number,
  ): Promise<OutputOf<typeof uploadRecording> | undefined> {
    const { sid, user } = about;
    await this.#turn();
    try {
      return await this.upload({ sid, user, sealedKey, first, chunks });
    } catch (e) {
      if (!isCoded(e) || !mayPass(e)) throw e;
      const waitMs = backoffMs(attempt, retry.baseMs, retry.maxMs, randomFraction(this.#options.world));
      await pause(Math.max(waitMs, e.retryAfterMs ?? 0), this.#stop.signal);
      return undefined;
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    while (this.#underWay >= mostAtOnce && !this.#stop.signal.aborted)
      await new Promise<void>((go) => {
        this.#waiting.push(go);
      });
    this.#underWay++;
  }

  async #complete(job: Job, recording: OpenedRecording, answer: Answer): Promise<void> {
    const { spool, tell, sink } = this.#options;
    const { preamble, outputBytes } = recording;
    const { sid, user } = preamble.about;
    const { place, next: chunks, head } = answer;
    const end = { chunks, head };
    if (job.file.status === 'recording') {
      // Of a session that this process served the end is told by itself: the file is marked then.
      if (!job.isOwn) await tell.interrupted(preamble, { ...end, bytes: outputBytes });
      else if (!(await this.#isTold(job))) return;
    }
    if (chunks > 0) await tell.uploaded({ sid, user, place, ...end });
    await spool.remove(job.file);
    sink.debug('a recording is stored', { session: sid, place });
  }

  /** Waits for it. False when this process ends before. */
  async #isTold(job: Job): Promise<boolean> {
    const { signal } = this.#stop;
    while (job.file.status === 'recording' && !signal.aborted) await pause(liveEveryMs, signal);
    return job.file.status !== 'recording';
  }

  async #putAside(job: Job, e: CodedError): Promise<void> {
    const { spool, sink } = this.#options;
    const { sid } = job.file;
    if (e.code === 'not_found') {
      sink.info('a recording was erased: what this machine has of it is deleted', { session: sid });
      await spool.remove(job.file);
      return;
    }
    const kept = await spool.mark(job.file, 'refused');
    sink.error('auth does not take a recording: it is put aside', {
      ...{ session: sid, reason: e.message, file: kept.path },
    });
  }
}

const mayPass = (e: CodedError): boolean =>
  ['unavailable', 'no_space', 'limit_exceeded', 'quota', 'internal', 'ambiguous', 'conflict'].includes(
    e.code,
  );
