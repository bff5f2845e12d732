import { describe, expect, it } from 'vitest';
import { whyNoneTakesOver } from './whose-container.ts';

const init = (name: string) => () => name;

describe('handing over', () => {
  it('is for no process 1', () => {
    expect(whyNoneTakesOver({ pid: 1, ppid: 0 }, init('teleport'))).toMatch(
      /^this is process 1 of a container/,
    );
  });
  it.each(['tini', 'docker-init', 'dumb-init', 'catatonit'])('is for no child of %s', (name) => {
    expect(whyNoneTakesOver({ pid: 7, ppid: 1 }, init(name))).toContain(
      `process 1 of this container (${name})`,
    );
  });
  it('is for a child of an init that lives on, and for whoever has another parent', () => {
    expect(whyNoneTakesOver({ pid: 7, ppid: 1 }, init('systemd'))).toBeUndefined();
    expect(whyNoneTakesOver({ pid: 7, ppid: 1 }, init(''))).toBeUndefined();
    expect(whyNoneTakesOver({ pid: 7, ppid: 6 }, init('tini'))).toBeUndefined();
  });
});
