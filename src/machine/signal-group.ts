/**
 * Sends a signal, `TERM` for example, to the process group of `pid`, or to the process alone while it leads
 * none yet, as whoever we are. False: nobody is there, or nobody that we may signal.
 */
export function signalGroup(pid: number, name: string): boolean {
  const signal = `SIG${name}` as NodeJS.Signals;
  // It is no group leader yet while it is on its way through setsid.
  return kill(-pid, signal) || kill(pid, signal);
}

/**
 * Sends a signal to what is left of the process group of `pid`, which has ended itself: the process id may
 * belong to another process by now, but that of a group is not reused while the group has members.
 */
export function signalRemains(pid: number, name: string): void {
  kill(-pid, `SIG${name}` as NodeJS.Signals);
}

function kill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'ESRCH' || code === 'EPERM') return false;
    throw e;
  }
}
