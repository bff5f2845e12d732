import { closeSync, constants, openSync } from 'node:fs';

/** How many descriptors the runtime opens to start a program, besides its pipes. */
const ownOfSpawn = 4;

/**
 * To be called right before the runtime starts a program with this many pipes: where not all can be made, it
 * leaves open for good those that were, and its child has no streams. Nothing else opens a descriptor between
 * this and the start.
 * @throws Error of the system when this many cannot be opened.
 */
export function requireDescriptorsFor(pipes: number): void {
  const fds: number[] = [];
  try {
    for (let i = 0; i < 2 * pipes + ownOfSpawn; i++) fds.push(openSync('/dev/null', constants.O_RDONLY));
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}
