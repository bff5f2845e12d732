import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../base/errors.ts';
import { type Invocation, type ProgramSpec, parseArgs, switchedOn } from './args.ts';
import { usage } from './usage.ts';

const program: ProgramSpec = {
  name: 'tsh',
  help: 'TSH: Teleport SSH client',
  flags: [
    { name: 'proxy', kind: 'value', help: 'proxy', env: ['TELEPORT_PROXY'] },
    { name: 'login', short: 'l', kind: 'value', help: 'login' },
    { name: 'debug', short: 'd', kind: 'switch', help: 'debug' },
    { name: 'agent', kind: 'switch', default: 'true', help: 'agent', env: ['USE_AGENT'] },
    { name: 'bind-addr', kind: 'value', help: '', refuse: 'is not available in this release' },
  ],
  commands: [
    {
      name: 'ssh',
      help: 'Run a shell',
      stopAtOperand: true,
      flags: [
        { name: 'port', short: 'p', kind: 'value', help: 'port' },
        { name: 'forward', short: 'L', kind: 'values', help: 'forward' },
        { name: 'tty', short: 't', kind: 'switch', help: 'tty' },
        { name: 'no-remote-exec', short: 'N', kind: 'switch', help: 'none' },
      ],
      args: [
        { name: 'host', help: 'host', required: true },
        { name: 'command', help: 'command', rest: true },
      ],
    },
    {
      name: 'ls',
      help: 'List',
      flags: [
        { name: 'format', short: 'f', kind: 'value', help: '', choices: ['text', 'json'], default: 'text' },
      ],
      args: [{ name: 'labels', help: '' }],
    },
    { name: 'users add', help: 'Add', args: [{ name: 'account', help: '', required: true }] },
    { name: 'users rm', aliases: ['users del'], help: 'Remove' },
    { name: 'join', help: '', refuse: 'is not available in this release' },
  ],
};

const parse = (line: string, env: Record<string, string> = {}): Invocation => {
  const parsed = parseArgs(program, line.split(' ').filter(Boolean), env);
  if (parsed.kind !== 'run') throw new Error(parsed.kind);
  return parsed.invocation;
};

describe('reading a command line', () => {
  it('takes --flag=value and --flag value, before and after the command', () => {
    expect(parse('--proxy=a ls').text('proxy')).toBe('a');
    expect(parse('ls --proxy a').text('proxy')).toBe('a');
  });
  it('takes values joined to a letter, and letters joined to each other', () => {
    const i = parse('ssh -tNp22 -lroot -L8080:a:80 -L 81:b:81 host');
    expect([i.on('tty'), i.on('no-remote-exec'), i.text('port'), i.text('login')]).toEqual([
      true,
      true,
      '22',
      'root',
    ]);
    expect(i.list('forward')).toEqual(['8080:a:80', '81:b:81']);
  });
  it('stops at the host: what follows is the command', () => {
    const i = parse('ssh -l joe host ls -l --debug -- x');
    expect([i.arg('host'), i.rest('command'), i.text('login'), i.on('debug')]).toEqual([
      'host',
      ['ls', '-l', '--debug', '--', 'x'],
      'joe',
      false,
    ]);
  });
  it('drops the -- that stands between host and command', () => {
    expect(parse('ssh host -- ls -l').rest('command')).toEqual(['ls', '-l']);
  });
  it('reads switches that are on by default as --no-name', () => {
    expect(parse('ls').on('agent')).toBe(true);
    expect(parse('ls --no-agent').on('agent')).toBe(false);
    expect(parse('ls', { USE_AGENT: 'false' }).on('agent')).toBe(false);
    expect(parse('ls --agent', { USE_AGENT: 'false' }).on('agent')).toBe(true);
  });
  it('does not take --no-remote-exec for the opposite of a flag', () => {
    expect(parse('ssh --no-remote-exec h').on('no-remote-exec')).toBe(true);
  });
  it('lets the flag win over the environment', () => {
    expect(parse('ls', { TELEPORT_PROXY: 'e' }).text('proxy')).toBe('e');
    expect(parse('ls --proxy=f', { TELEPORT_PROXY: 'e' }).text('proxy')).toBe('f');
    expect(parse('ls', { TELEPORT_PROXY: 'e' }).given('proxy')).toBe(false);
  });
  it('finds commands of two words and their aliases', () => {
    expect(parse('users add joe').arg('account')).toBe('joe');
    expect(parse('users del').command).toBe('users rm');
  });
});

describe('refusing a command line', () => {
  it.each([
    ['frob', 'expected command but got "frob"'],
    ['users frob', 'expected command but got "frob"'],
    ['help frob', 'expected command but got "frob"'],
    ['ls --frob', "unknown long flag '--frob'"],
    ['ls -x', "unknown short flag '-x'"],
    ['ls --proxy', "expected argument for flag '--proxy'"],
    ['ls --proxy --debug', "expected argument for flag '--proxy'"],
    ['ls --proxy=a --proxy=b', "flag 'proxy' cannot be repeated"],
    ['ls --debug=yes', "flag '--debug' takes no value, but got 'yes'"],
    ['ls --format=xml', "--format: enum value must be one of text,json, got 'xml'"],
    ['ls a b', 'unexpected b'],
    ['ssh', "required argument 'host' not provided"],
    ['join x', "'tsh join' is not available in this release"],
    ['ls --bind-addr=:1', '--bind-addr is not available in this release'],
  ])('%s', (line, message) => {
    expect(() => parse(line)).toThrow(message);
  });
  it('refuses an environment variable that is no boolean, naming it', () => {
    expect(() => parse('ls', { USE_AGENT: 'maybe' })).toThrow(
      "USE_AGENT (environment): expected true or false, got 'maybe'",
    );
  });
});

describe('asking for help', () => {
  const kind = (line: string): unknown => parseArgs(program, line.split(' ').filter(Boolean), {});
  it('knows help, help <command>, --help and -h', () => {
    expect(kind('help')).toEqual({ kind: 'help', command: undefined });
    expect(kind('help ssh')).toEqual({ kind: 'help', command: 'ssh' });
    expect(kind('ssh --help')).toEqual({ kind: 'help', command: 'ssh' });
    expect(kind('-h')).toEqual({ kind: 'help', command: undefined });
    expect(kind('help users')).toEqual({ kind: 'help', command: 'users' });
  });
  it('leaves --help after the host to the remote command', () => {
    expect(parse('ssh h ls --help').rest('command')).toEqual(['ls', '--help']);
  });
  it('says incomplete for nothing, and for a group alone', () => {
    expect(kind('')).toEqual({ kind: 'incomplete', command: undefined });
    expect(kind('users')).toEqual({ kind: 'incomplete', command: 'users' });
  });
  it('prints usage without what is refused', () => {
    expect(usage(program, undefined)).toContain('--[no-]agent');
    expect(usage(program, undefined)).not.toMatch(/join|bind-addr/);
    expect(usage(program, 'ssh')).toContain('tsh ssh [<flags>] <host> [<command>]...');
    expect(usage(program, 'users')).toContain('users add <account>');
  });
});

describe('any command line', () => {
  it('is read or refused with a coded error', () => {
    const token = fc.oneof(
      fc.string(),
      fc.constantFrom('ssh', 'ls', 'users', '-p', '-L', '--proxy', '--', '-tN', '--no-agent', 'help'),
    );
    fc.assert(
      fc.property(fc.array(token), (argv) => {
        try {
          parseArgs(program, argv, {});
        } catch (e) {
          if (!isCoded(e)) throw e;
        }
      }),
    );
  });
});

describe('a switch in the environment', () => {
  it.each(['1', 't', 'true', 'YES', 'on'])('is on: %s', (text) => {
    expect(switchedOn('X', { X: text })).toBe(true);
  });
  it.each(['0', 'f', 'false', 'No', 'off', ''])('is off: %s', (text) => {
    expect(switchedOn('X', { X: text })).toBe(false);
  });
  it('is off when it is not set', () => {
    expect(switchedOn('X', {})).toBe(false);
  });
  it('is nothing else', () => {
    expect(() => switchedOn('X', { X: 'nope' })).toThrow(
      "X (environment): expected true or false, got 'nope'",
    );
  });
});
