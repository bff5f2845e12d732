import { type FSWatcher, readdirSync, readFileSync, rmSync, watch, writeFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../base/errors.ts';
import { ensurePrivateDirectory } from '../base/files.ts';
import type { LogSink } from '../base/log-sink.ts';
import { isAlive, type ProcessRef } from '../base/process-ref.ts';
import { type LiveSession, liveSession } from '../domain/live-sessions.ts';
import type { OtherProcesses } from './live-sessions.ts';

/** `<pid>.<start of the process>-<unique>.json` */
const shape = /^(\d+)\.(\d+)-([0-9a-f]{8})\.json$/;
const contents = z.array(liveSession);

export interface OtherProcessesOptions {
  readonly directory: string;
  readonly owner: ProcessRef;
  /** Eight hex digits of this node alone: one process may serve as several in tests. */
  readonly unique: string;
  readonly sink: LogSink;
  /** Another process has published, or is gone. */
  readonly onChange: () => void;
}

/**
 * The processes of one node tell each other by files what runs in them: after a reload sessions go on in the
 * old one, which the new one lists as well. Nothing here survives the processes, so nothing is made durable.
 * @throws CodedError `misconfigured` for a directory that others may read.
 */
export function otherProcesses({
  directory,
  owner,
  unique,
  sink,
  onChange,
}: OtherProcessesOptions): OtherProcesses {
  ensurePrivateDirectory(directory);
  const own = `${owner.pid}.${owner.startTime}-${unique}.json`;
  const path = join(directory, own);
  let published = '';
  let trouble: string | undefined;
  const noted = (e: unknown): void => {
    const why = messageOf(e);
    if (trouble !== why)
      sink.warn('sessions of this process are not told to others of this node', { reason: why });
    trouble = why;
  };
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(directory, { persistent: false }, (_event, name) => {
      if (name !== null && name !== own && shape.test(name)) onChange();
    }).on('error', noted);
  } catch (e) {
    noted(e);
  }
  return {
    publish: (sessions) => {
      const text = JSON.stringify(sessions);
      if (text === published) return;
      try {
        writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
        renameSync(`${path}.tmp`, path);
        published = text;
        trouble = undefined;
      } catch (e) {
        noted(e);
      }
    },
    sessions: () =>
      names(directory).flatMap((name): readonly LiveSession[] => {
        const [, pid, startTime = ''] = shape.exec(name) ?? [];
        if (pid === undefined || name === own) return [];
        if (isAlive({ pid: Number(pid), startTime })) return read(join(directory, name));
        rmSync(join(directory, name), { force: true });
        return [];
      }),
    close: () => {
      watcher?.close();
      rmSync(path, { force: true });
    },
  };
}

/** None where the directory is gone: that is told when this process publishes. */
function names(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** What another release wrote in a form that is not known here is left out. */
function read(path: string): readonly LiveSession[] {
  try {
    return contents.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return [];
  }
}
