import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { cliIo, type InputStream } from './cli-io.ts';
import { confirm } from './confirm.ts';

function setUp(tty: boolean): {
  ask: (yes?: boolean) => Promise<void>;
  type: (text: string) => void;
  said: () => string;
} {
  const stdin = Object.assign(new PassThrough(), { isTTY: tty }) as PassThrough & InputStream;
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  let said = '';
  stderr.on('data', (data: Buffer) => (said += data.toString()));
  const io = cliIo({ stdout, stderr }, { stdin, env: {}, world: realWorld });
  return {
    ask: (yes = false) => confirm(io, 'Move the log?', yes),
    type: (text) => stdin.write(text),
    said: () => said,
  };
}

describe('asking before something that is hard to undo', () => {
  it.each(['y\r', 'yes\r', ' YES \r'])('goes on after %j', async (typed) => {
    const { ask, type, said } = setUp(true);
    const asking = ask();
    type(typed);
    await asking;
    expect(said()).toContain('Move the log? [y/N]');
  });
  it.each(['\r', 'n\r', 'no\r', 'yess\r'])('ends with 1 after %j', async (typed) => {
    const { ask, type } = setUp(true);
    const asking = ask();
    type(typed);
    await expect(asking).rejects.toMatchObject({ status: 1, message: 'nothing was changed' });
  });
  it('without a terminal refuses, whatever is piped in; --yes answers for scripts', async () => {
    const { ask, type, said } = setUp(false);
    type('y\n');
    await expect(ask()).rejects.toMatchObject({ code: 'bad_request' });
    await ask(true);
    expect(said()).toBe('');
  });
});
