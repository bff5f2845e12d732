import { readFileSync } from 'node:fs';

/**
 * Inits of containers: each ends, and the container with it, when the process ends that it started. Names of
 * proc(5), comm.
 */
const endWithTheirChild: ReadonlySet<string> = new Set(['tini', 'docker-init', 'dumb-init', 'catatonit']);

/**
 * Why no other process can take over from this one; undefined: one can. Everything in a container ends with
 * its process 1, which is this process, or waits for it alone.
 */
export function whyNoneTakesOver(
  { pid, ppid }: { readonly pid: number; readonly ppid: number } = process,
  nameOfInit: () => string = commOfInit,
): string | undefined {
  const advice = 'to read changed files, restart the container';
  if (pid === 1)
    return `this is process 1 of a container, which would end together with every session when this process hands over to a new one: ${advice}`;
  if (ppid !== 1) return undefined;
  const init = nameOfInit();
  return endWithTheirChild.has(init)
    ? `process 1 of this container (${init}) ends it, together with every session, when this process hands over to a new one: ${advice}`
    : undefined;
}

function commOfInit(): string {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim();
  } catch {
    return ''; // hidden from us: not a container's init that we know
  }
}
