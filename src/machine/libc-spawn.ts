import type koffiModule from 'koffi';

type Koffi = typeof koffiModule;

export interface SpawnCall {
  /**
   * An absolute path, or a name that is looked for in our PATH. The program's own name is its first argument.
   */
  readonly argv: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  /** Where it starts; undefined: our own folder. */
  readonly folder: string | undefined;
  /** These become its descriptors 0, 1, 2, ...: each is above 2, or in its own place. It has no others. */
  readonly descriptors: readonly number[];
  /** It leads a session and a process group of its own. */
  readonly newSession: boolean;
}

/** Starts processes without copying this one. Neither call waits for more than the loading of the program. */
export interface ProcessCalls {
  /** A pid, to be waited for by `reap`; or an error number, and nothing was started. */
  spawn(call: SpawnCall): { readonly pid: number } | { readonly errno: number };
  /** The status from waitpid(2): undefined while it runs, 'lost' when it is not our child. */
  reap(pid: number): number | 'lost' | undefined;
}

/** What it takes to start programs with pipes. */
export interface ProgramCalls {
  /** [reading end, writing end], blocking, close-on-exec. The caller closes both. */
  pipe(): readonly [number, number];
  readonly processes: ProcessCalls;
}

/** Same numbers for glibc and musl. Source: spawn.h of both. */
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const WNOHANG = 1;
/** Larger than the structures of glibc and musl (80 and 336 bytes), and than any set of signals (128). */
const ACTIONS_BYTES = 256;
const ATTRIBUTES_BYTES = 512;
const SIGNALS_BYTES = 128;

/** Changes the folder where the C library cannot: glibc before 2.29. */
const inFolder = ['/bin/sh', '-c', 'cd -- "$1" && shift && exec "$@"', 'sh'];

/**
 * Binds posix_spawn. `fork` copies the page tables of a process, and stops it during that: 3 to 100 ms of a
 * daemon's event loop, by its size. posix_spawn shares them until the program is loaded (RFD 29). @throws
 * Error where a call is missing.
 */
export function bindProcessCalls(lib: ReturnType<Koffi['load']>): ProcessCalls {
  const spawnp = lib.func(
    'int posix_spawnp(_Out_ int *, const char *, uint8_t *, uint8_t *, const char **, const char **)',
  );
  const actionsInit = lib.func('int posix_spawn_file_actions_init(uint8_t *)');
  const actionsDup2 = lib.func('int posix_spawn_file_actions_adddup2(uint8_t *, int, int)');
  const actionsDestroy = lib.func('int posix_spawn_file_actions_destroy(uint8_t *)');
  const attributesInit = lib.func('int posix_spawnattr_init(uint8_t *)');
  const setFlags = lib.func('int posix_spawnattr_setflags(uint8_t *, short)');
  const setMask = lib.func('int posix_spawnattr_setsigmask(uint8_t *, uint8_t *)');
  const setDefault = lib.func('int posix_spawnattr_setsigdefault(uint8_t *, uint8_t *)');
  const waitpid = lib.func('int waitpid(int, _Out_ int *, int)');
  const chdir = optional(lib, 'int posix_spawn_file_actions_addchdir_np(uint8_t *, const char *)');
  const allSignals = Buffer.alloc(SIGNALS_BYTES, 0xff);
  const noSignals = Buffer.alloc(SIGNALS_BYTES);

  /** Signals as a program expects them, independent of those that Node ignores, handles or blocks. */
  const attributesFor = (newSession: boolean): Buffer => {
    const attributes = Buffer.alloc(ATTRIBUTES_BYTES);
    attributesInit(attributes);
    setFlags(attributes, SETSIGDEF | SETSIGMASK | (newSession ? SETSID : 0));
    setMask(attributes, noSignals);
    setDefault(attributes, allSignals);
    return attributes;
  };
  const attributes = { own: attributesFor(true), ours: attributesFor(false) };

  return {
    spawn({ argv, environment, folder, descriptors, newSession }) {
      const line = folder === undefined || chdir !== undefined ? argv : [...inFolder, folder, ...argv];
      const actions = Buffer.alloc(ACTIONS_BYTES);
      const pid = new Int32Array(1);
      actionsInit(actions);
      try {
        const prepared = [
          ...descriptors.map((fd, i) => actionsDup2(actions, fd, i) as number),
          folder === undefined || chdir === undefined ? 0 : (chdir(actions, folder) as number),
        ];
        const errno =
          prepared.find((error) => error !== 0) ??
          (spawnp(
            pid,
            line[0] ?? '',
            actions,
            newSession ? attributes.own : attributes.ours,
            [...line, null],
            [...environment, null],
          ) as number);
        return errno === 0 ? { pid: pid[0] ?? 0 } : { errno };
      } finally {
        actionsDestroy(actions);
      }
    },
    reap(pid) {
      const status = new Int32Array(1);
      const waited = waitpid(pid, status, WNOHANG) as number;
      if (waited === 0) return undefined;
      return waited === pid ? (status[0] ?? 0) : 'lost';
    },
  };
}

function optional(
  lib: ReturnType<Koffi['load']>,
  definition: string,
): ReturnType<ReturnType<Koffi['load']>['func']> | undefined {
  try {
    return lib.func(definition);
  } catch {
    return undefined; // this C library is older
  }
}
