import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { InputStream } from './cli-io.ts';
import { ExitStatus } from './errors.ts';
import { openPrompter } from './prompt.ts';

function scene(terminal: boolean): {
  input: PassThrough & InputStream;
  raw: boolean[];
  output: PassThrough;
  written: () => string;
} {
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: terminal,
    setRawMode: (on: boolean) => raw.push(on),
  });
  const output = new PassThrough();
  return { input, raw, output, written: () => String(output.read() ?? '') };
}

describe('asking at a terminal', () => {
  it('hides the password, reads in raw mode and leaves it', async () => {
    const { input, raw, output, written } = scene(true);
    const prompter = openPrompter({ stdin: input, raw: { stderr: output } });
    const answer = prompter.hidden('Enter password for Teleport user joe:');
    input.write('secx\u007fret\r');
    expect(await answer).toBe('secret');
    expect(raw).toEqual([true, false]);
    expect(written()).toBe('Enter password for Teleport user joe:\n\n');
  });
  it('keeps what was typed ahead for the next question', async () => {
    const { input, output } = scene(true);
    const prompter = openPrompter({ stdin: input, raw: { stderr: output } });
    input.write('one\rtwo\r');
    expect(await prompter.hidden('a')).toBe('one');
    expect(await prompter.hidden('b')).toBe('two');
  });
  it('ends with 130 on ^C, out of raw mode', async () => {
    const { input, raw, output } = scene(true);
    const answer = openPrompter({ stdin: input, raw: { stderr: output } }).hidden('a');
    input.write('sec\u0003');
    await expect(answer).rejects.toEqual(new ExitStatus(130));
    expect(raw).toEqual([true, false]);
  });
  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('leaves raw mode on %s', async (signal, status) => {
    const { input, raw, output } = scene(true);
    const answer = openPrompter({ stdin: input, raw: { stderr: output } }).hidden('a');
    process.emit(signal, signal);
    await expect(answer).rejects.toEqual(new ExitStatus(status));
    expect(raw).toEqual([true, false]);
    expect(process.listenerCount(signal)).toBe(0);
  });
  it('echoes a line that is not secret', async () => {
    const { input, output, written } = scene(true);
    const answer = openPrompter({ stdin: input, raw: { stderr: output } }).line('Code:');
    input.write('12\u007f3\r');
    expect(await answer).toBe('13');
    expect(written()).toBe('Code:\n12\b \b3\n');
  });
});

describe('asking a pipe', () => {
  it('reads a line for each question, with \\n or \\r\\n, and a last line without', async () => {
    const { input, output } = scene(false);
    input.end('pass\u0003word\r\n123456');
    const prompter = openPrompter({ stdin: input, raw: { stderr: output } });
    expect(await prompter.hidden('a')).toBe('pass\u0003word');
    expect(await prompter.hidden('b')).toBe('123456');
    await expect(prompter.hidden('c')).rejects.toThrow('the input ended where an answer was expected');
  });
  it('gives back what it did not use', async () => {
    const { input, output } = scene(false);
    input.write('password\nfor the remote command');
    const prompter = openPrompter({ stdin: input, raw: { stderr: output } });
    await prompter.hidden('a');
    prompter.close();
    expect(String(input.read())).toBe('for the remote command');
  });
  it('gives what it did not use to the next one, also when the input has ended', async () => {
    const { input, output } = scene(false);
    input.end('secret\nINC-9\nrest');
    const first = openPrompter({ stdin: input, raw: { stderr: output } });
    expect(await first.hidden('a')).toBe('secret');
    if (!input.readableEnded) {
      input.resume();
      await once(input, 'end');
    }
    first.close();
    const unused = openPrompter({ stdin: input, raw: { stderr: output } });
    unused.close();
    const second = openPrompter({ stdin: input, raw: { stderr: output } });
    expect(await second.line('b')).toBe('INC-9');
    second.close();
    const third = openPrompter({ stdin: input, raw: { stderr: output } });
    expect(await third.line('c')).toBe('rest');
    await expect(third.line('d')).rejects.toMatchObject({ code: 'bad_request' });
  });
  it('reads a character whose bytes come in two pieces', async () => {
    const { input, output } = scene(false);
    const answer = openPrompter({ stdin: input, raw: { stderr: output } }).hidden('a');
    const bytes = Buffer.from('pä\n');
    input.write(bytes.subarray(0, 2));
    input.write(bytes.subarray(2));
    expect(await answer).toBe('pä');
  });
});
