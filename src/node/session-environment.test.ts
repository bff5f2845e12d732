import { describe, expect, it } from 'vitest';
import { type EnvironmentParts, sessionEnvironment } from './session-environment.ts';

const parts: EnvironmentParts = {
  user: { name: 'joe', uid: 1000, gid: 100, home: '/home/joe', shell: '/bin/zsh', groups: [100] },
  paths: { user: '/u', superuser: '/su' },
  fromClient: new Map(),
  remote: { host: '203.0.113.5', port: 4711 },
  local: { host: '10.0.0.1', port: 3022 },
  terminal: undefined,
  sessionId: 'sid',
  webProxyAddress: 'proxy:3080',
  hostId: 'host',
  clusterName: 'example',
  username: 'alice',
  agentSocket: undefined,
  originalCommand: undefined,
  trouble: undefined,
  fromFile: [],
};
const of = (wish: Partial<EnvironmentParts> = {}): Record<string, string> =>
  Object.fromEntries(sessionEnvironment({ ...parts, ...wish }));

describe('the environment of a session', () => {
  it('holds what users of such nodes know, and nothing else', () => {
    expect(of()).toEqual({
      LANG: 'en_US.UTF-8',
      PATH: '/u',
      HOME: '/home/joe',
      USER: 'joe',
      SHELL: '/bin/zsh',
      SSH_CLIENT: '203.0.113.5 4711 3022',
      SSH_CONNECTION: '203.0.113.5 4711 10.0.0.1 3022',
      SSH_SESSION_ID: 'sid',
      SSH_SESSION_WEBPROXY_ADDR: 'proxy:3080',
      SSH_TELEPORT_HOST_UUID: 'host',
      SSH_TELEPORT_CLUSTER_NAME: 'example',
      SSH_TELEPORT_USER: 'alice',
      TELEPORT_SESSION: 'sid',
    });
  });
  it('gives the superuser its own PATH', () => {
    expect(of({ user: { ...parts.user, uid: 0 } })['PATH']).toBe('/su');
  });
  it('lets the client change what it may, never who it is', () => {
    const env = of({
      fromClient: new Map([
        ['LANG', 'C'],
        ['TELEPORT_SESSION', 'wish'],
        ['SSH_TELEPORT_USER', 'root'],
        ['SSH_CONNECTION', 'x'],
      ]),
    });
    expect(env).toMatchObject({ LANG: 'C', TELEPORT_SESSION: 'wish', SSH_TELEPORT_USER: 'alice' });
    expect(env['SSH_CONNECTION']).toMatch(/^203\.0\.113\.5 /);
  });
  it('names the terminal, and takes no odd name for its kind', () => {
    expect(of({ terminal: { term: 'screen', path: '/dev/pts/3' } })).toMatchObject({
      TERM: 'screen',
      SSH_TTY: '/dev/pts/3',
    });
    expect(of({ terminal: { term: 'a\nb', path: '/dev/pts/3' } })['TERM']).toBe('xterm');
  });
  it("puts the user's file before the client, and its last line first, but never before what is ours", () => {
    const fromFile = [
      ['MINE', '1'],
      ['MINE', '2'],
      ['PATH', '/mine'],
      ['HOME', '/elsewhere'],
    ] as const;
    expect(of({ fromFile, fromClient: new Map([['MINE', '0']]) })).toMatchObject({
      MINE: '2',
      PATH: '/u',
      HOME: '/home/joe',
    });
  });
  it('shows what was asked for where the certificate forces a command', () => {
    expect(of({ originalCommand: 'a\nb' })['SSH_ORIGINAL_COMMAND']).toBe('a b');
  });
});
