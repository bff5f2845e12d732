import { type Duplex, PassThrough, duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ExitStatus as RemoteExit } from '../../../ssh/channel-types.ts';
import type { ClientSession } from '../../../ssh/cert-client.ts';
import { type Copying, type Left, badEnd, checkEnd, cutShort, leftHere, leftThere } from './scp-outcome.ts';
import { ScpStream } from '../../../transfer/scp-stream.ts';

const killed: RemoteExit = { status: 'signalled', signal: 'KILL', coreDumped: false, message: '' };
const one: Left = { progress: () => undefined, names: () => ['f2'] };

function copying(exit: RemoteExit, left: Left = one, said = ''): Copying & { readonly far: Duplex } {
  const [near, far] = duplexPair();
  const session = {
    channel: Object.assign(near, { stderr: new PassThrough() }),
    exit: Promise.resolve(exit),
  };
  const stream = new ScpStream(near, near);
  return { session: session as unknown as ClientSession, stream, errors: Promise.resolve(said), left, far };
}

describe('the end of the scp at the other side', () => {
  it.each([
    [{ status: 'exited', code: 0 }, undefined],
    [{ status: 'exited', code: 1 }, 'the remote scp ended with status 1'],
    [killed, 'the remote scp was ended by signal KILL'],
    [
      { status: 'unknown' },
      'the remote scp ended without a status: it was killed, or the connection was lost',
    ],
  ] as const)('%j', (exit, said) => {
    expect(badEnd(exit)).toBe(said);
  });

  it('is a failure unless it exited with 0, also when everything looked well until then', async () => {
    await checkEnd(copying({ status: 'exited', code: 0 }));
    for (const exit of [killed, { status: 'unknown' }, { status: 'exited', code: 1 }] as const)
      await expect(checkEnd(copying(exit))).rejects.toThrow(/^the remote scp .*\nnot copied: f2$/);
  });
  it('is told by the warnings alone when it exited because of them, and not when it was killed', async () => {
    const warned = (exit: RemoteExit): Copying => {
      const it = copying(exit);
      it.stream.complaints.push('f1: no space');
      return it;
    };
    await checkEnd(warned({ status: 'exited', code: 1 }));
    await expect(checkEnd(warned(killed))).rejects.toThrow(/^f1: no space\nthe remote scp was ended/);
  });
  it('is waited for when it ended its stream, and told with what it wrote', async () => {
    const it = copying(killed, one, 'out of memory\n');
    it.far.end();
    const e = await it.stream.acknowledged().catch((cause: unknown) => cause);
    expect((await cutShort(e, it)).message).toBe(
      'out of memory\nthe other side ended the copy too early: the remote scp was ended by signal KILL\nnot copied: f2',
    );
    expect(it.session.channel.destroyed).toBe(false);
  });
  it('is not waited for when it breaks the protocol', async () => {
    const it = copying({ status: 'exited', code: 0 });
    expect((await cutShort(new Error('it sent "x"'), it)).message).toBe('it sent "x"\nnot copied: f2');
    expect(it.session.channel.destroyed).toBe(true);
  });
});

describe('what is left of a copy', () => {
  it('up: the sources that were not acknowledged, and where within the first', () => {
    const waiting = ['a', 'd/', 'e'];
    const left = leftHere(waiting);
    left.progress('a', 1, 1);
    expect(left.names()).toEqual(['a', 'd/', 'e']);
    waiting.shift();
    left.progress('d/x', 5, 2);
    expect(left.names()).toEqual(['d/, from d/x on', 'e']);
    waiting.splice(0);
    expect(left.names()).toEqual([]);
  });
  it('down: the source, from the file that was cut, or after the last that came', () => {
    const left = leftThere('n:f*');
    expect(left.names()).toEqual(['n:f*']);
    left.progress('f1', 2, 0);
    expect(left.names()).toEqual(['n:f*, from f1 on (0 came whole)']);
    left.progress('f1', 2, 2);
    expect(left.names()).toEqual(['n:f*, what comes after f1 (1 came whole)']);
    left.progress('f2', 0, 0); // an empty file is whole at once
    expect(left.names()).toEqual(['n:f*, what comes after f2 (2 came whole)']);
  });
});
