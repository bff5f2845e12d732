import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findFilePrograms, parseScpCommand } from './file-programs.ts';

it('files are moved by our own programs where that is asked for, whatever the path of ours holds', () => {
  const programs = findFilePrograms(['/opt/a b/teleport', 'x'], true);
  expect(programs.sftp).toBe("'/opt/a b/teleport' x sftp-server");
  const asked = parseScpCommand('scp -t /tmp/x');
  if (asked === undefined) throw new Error('this is a copy');
  expect(programs.scp(asked)).toBe("'/opt/a b/teleport' x scp -- -t /tmp/x");
});

it('files are moved by the programs of OpenSSH where they are, else by ours', () => {
  const programs = findFilePrograms(['/opt/teleport'], false);
  const { sftp } = programs;
  const [program = ''] = sftp.split(' ');
  expect(existsSync(program) ? sftp : 'ours').toBe(existsSync(program) ? program : 'ours');
  if (!existsSync(program)) expect(sftp).toBe('/opt/teleport sftp-server');
  expect(programs.scp({ rest: '-t x' } as never)).toMatch(/^(\/\S*\/scp|\/opt\/teleport scp --) -t x$/);
});
