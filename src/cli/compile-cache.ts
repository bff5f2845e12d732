import { lstatSync, mkdirSync, readdirSync, type Stats } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../base/errors.ts';
import { processIo } from './cli-io.ts';

const writableByOthers = 0o022;

/**
 * Keeps compiled code in `.cache` beside the program `url`: it is run by whoever starts the program next,
 * root for example. So only its owner may write in the folder, whatever the umask, and a folder that others
 * can write in, or that somebody else made, is not used: `warn` is called with the reason.
 */
export function useCompileCache(url: string, warn: (line: string) => void = toStderr): void {
  const folder = join(dirname(fileURLToPath(url)), '.cache');
  const before = process.umask(writableByOthers); // compiled code is no secret
  try {
    try {
      mkdirSync(folder, { mode: 0o755 });
    } catch {
      // It exists already, or this account may not write here: checked next.
    }
    const fault = cacheFault(folder);
    if (fault.status === 'faulty')
      warn(
        `warning: ${fault.path} ${fault.why}: compiled code is not kept there; remove it: rm -rf ${folder}`,
      );
    else if (fault.status === 'usable') enableCompileCache(folder);
  } finally {
    process.umask(before);
  }
}

const toStderr = (line: string): void => {
  processIo().stderr.write(`${line}\n`);
};

export type CacheState =
  | { readonly status: 'usable' | 'absent' }
  | { readonly status: 'faulty'; readonly path: string; readonly why: string };

/**
 * Whether code may be loaded from this folder: only root, this account and the owner of the program can have
 * put it there.
 */
export function cacheFault(folder: string, uid: number = process.geteuid?.() ?? 0): CacheState {
  try {
    const trusted = new Set([0, uid, lstatSync(dirname(folder)).uid]);
    const inside = readdirSync(folder).map((name) => join(folder, name));
    for (const path of [folder, ...inside]) {
      const why = faultOf(lstatSync(path), trusted);
      if (why !== undefined) return { status: 'faulty', path, why };
    }
    return { status: 'usable' };
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') return { status: 'absent' }; // or not for this account
    return { status: 'faulty', path: folder, why: `cannot be looked into (${messageOf(e)})` };
  }
}

function faultOf(info: Stats, trusted: ReadonlySet<number>): string | undefined {
  if (!info.isDirectory() && !info.isFile()) return 'is not a directory of its own';
  if ((info.mode & writableByOthers) !== 0) return 'can be written by others';
  return trusted.has(info.uid) ? undefined : `belongs to uid ${info.uid}`;
}
