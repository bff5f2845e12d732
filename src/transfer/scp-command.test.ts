import { describe, expect, it } from 'vitest';
import { parseScpCommand } from './scp-command.ts';
import { parseScpArguments } from './scp-server.ts';

describe('recognising a copy', () => {
  it.each([
    ['scp -t dir', 'upload', 'dir'],
    ['/usr/bin/scp -f -r /var/log/*.gz', 'download', '/var/log/*.gz'],
    ['scp -v -r -p -d -t -- -odd', 'upload', '-odd'],
    ["scp -pf 'a b'", 'download', "'a b'"],
    ['scp -t ~/x\\ y', 'upload', '~/x\\ y'],
    [`scp -t "it's; $5"`.replace('$', '\\$'), 'upload', `"it's; \\$5"`],
  ])('%s', (command, direction, path) => {
    expect(parseScpCommand(command)).toMatchObject({ direction, path });
  });
  it.each([
    'scp a b:c',
    'scp',
    'scp -t -f x',
    'myscp -t x',
    'scp -t x; rm -rf /',
    'scp -t $(id)',
    'scp -t x && y',
    'scp -t `id`',
    'scp -t x > y',
    'cd x; scp -t y',
    'scp -t x\nid',
    `scp -t "'"; id; "'"`,
    `scp -t '\\'; id '`,
    `scp -t "$(id)"`,
    `scp -t 'open`,
  ])('is none: %s', (command) => {
    expect(parseScpCommand(command)).toBeUndefined();
  });
});

describe('reading the arguments of our own scp', () => {
  it('takes flags together or apart', () => {
    expect(parseScpArguments(['-rp', '-t', '--', '-x'])).toEqual({
      direction: 'upload',
      recursive: true,
      preserve: true,
      mustBeFolder: false,
      targets: ['-x'],
    });
  });
  it.each([[['-t']], [['a']], [['-t', '-f', 'a']], [['-t', 'a', 'b']], [['-tz', 'a']], [['-f', '--server']]])(
    'refuses %j',
    (argv) => {
      expect(() => parseScpArguments(argv)).toThrow();
    },
  );
});
