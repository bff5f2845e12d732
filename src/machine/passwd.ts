import { readFile, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { ProgramStarter } from './program-starter.ts';
import { runProgram } from './run-program.ts';

/** An account of the operating system. */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
  /** All groups, the main one included. */
  readonly groups: readonly number[];
}

/** One line of passwd(5), or undefined when it is invalid. An empty shell is /bin/sh, an empty home is /. */
export function parsePasswdLine(line: string): Omit<OsUser, 'groups'> | undefined {
  const fields = line.split(':');
  const [name = '', , uid = '', gid = '', , home = '', shell = ''] = fields;
  if (fields.length !== 7 || name === '' || !isId(uid) || !isId(gid)) return undefined;
  return {
    name,
    uid: Number(uid),
    gid: Number(gid),
    home: home === '' ? '/' : home,
    shell: shell === '' ? '/bin/sh' : shell,
  };
}

/** 2^32-1 is not an id: the system calls take it for "leave as it is". */
const isId = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) < 0xffff_ffff;

/** Group ids from the output of `id -G`; undefined when it is invalid. */
export function parseGroupIds(line: string): readonly number[] | undefined {
  const ids = line.trim().split(/\s+/);
  return ids.every(isId) ? ids.map(Number) : undefined;
}

/** Never a number (getent would take it for an id), never an option. */
const askable = /^[A-Za-z_][A-Za-z0-9_.@\\+-]{0,255}\$?$/;

const folders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];
/** Absolute path of a program of the system, wherever this distribution keeps it. */
export const systemProgram = (name: string): string | undefined =>
  folders.map((folder) => `${folder}/${name}`).find((path) => existsSync(path));

const environment = [
  ['PATH', '/usr/bin:/bin'],
  ['LC_ALL', 'C'],
] as const;
const limits = { limitMs: 10_000, maxBytes: 1024 * 1024 };

interface Answer {
  readonly code: number;
  readonly stdout: string;
}

async function run(starter: ProgramStarter, argv: readonly string[]): Promise<Answer> {
  const failed = (reason: string): CodedError =>
    new CodedError('unavailable', `looking up the account failed: ${argv.join(' ')}: ${reason}`);
  // Everybody's sessions wait for these: they share one turn.
  const ran = await runProgram(starter, argv, { environment, ...limits, of: starter }).catch((e: unknown) => {
    throw isCoded(e) ? failed(e.message) : e;
  });
  if (ran.status !== 'ended') throw failed(`it took too long or printed too much`);
  if (ran.end.status !== 'exited') throw failed('it was killed');
  return { code: ran.end.code, stdout: ran.stdout };
}

const NOT_FOUND = 2;

async function inFile(database: string, name: string): Promise<string | undefined> {
  try {
    const text = await readFile(`/etc/${database}`, 'utf8');
    return text.split('\n').find((line) => line.startsWith(`${name}:`));
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // small images have no shadow file
    throw new CodedError('unavailable', `looking up the account failed: ${messageOf(e)}`);
  }
}

/**
 * A line of a database, through the name service (files, LDAP, ...) where getent is installed, else from
 * /etc.
 */
async function lookUp(
  starter: ProgramStarter,
  database: 'passwd' | 'group' | 'shadow',
  name: string,
): Promise<string | undefined> {
  const getent = systemProgram('getent');
  if (getent === undefined) return inFile(database, name);
  const { code, stdout } = await run(starter, [getent, database, name]);
  if (code === NOT_FOUND) return undefined;
  // Some systems have a getent that knows no such database.
  if (code !== 0 && database === 'shadow') return inFile(database, name);
  if (code !== 0) throw new CodedError('unavailable', `getent ${database} failed with status ${code}`);
  return stdout.split('\n').find((line) => line.startsWith(`${name}:`));
}

async function groupsOf(starter: ProgramStarter, name: string): Promise<readonly number[]> {
  const id = systemProgram('id');
  if (id === undefined) throw new CodedError('unavailable', 'the program id is not installed');
  const { code, stdout } = await run(starter, [id, '-G', name]);
  const groups = code === 0 ? parseGroupIds(stdout) : undefined;
  if (groups === undefined) throw new CodedError('unavailable', `the groups of ${name} cannot be found out`);
  return groups;
}

async function readUser(starter: ProgramStarter, name: string): Promise<OsUser | undefined> {
  if (!askable.test(name)) return undefined;
  const line = await lookUp(starter, 'passwd', name);
  const account = line === undefined ? undefined : parsePasswdLine(line);
  return account?.name === name ? { ...account, groups: await groupsOf(starter, name) } : undefined;
}

async function readGroupId(starter: ProgramStarter, name: string): Promise<number | undefined> {
  const id = (await lookUp(starter, 'group', name))?.split(':')[2] ?? '';
  return isId(id) ? Number(id) : undefined;
}

const CACHE_MS = 3_000;

/** What is known of an account's password. */
export interface PasswordLine {
  readonly database: 'shadow' | 'passwd';
  readonly text: string;
}

async function readPasswordLine(starter: ProgramStarter, name: string): Promise<PasswordLine | undefined> {
  const shadow = await lookUp(starter, 'shadow', name);
  if (shadow !== undefined) return { database: 'shadow', text: shadow };
  const passwd = await lookUp(starter, 'passwd', name);
  return passwd === undefined ? undefined : { database: 'passwd', text: passwd };
}

/** Differs once a file has been changed or replaced. */
async function stampOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (e) {
    return (e as NodeJS.ErrnoException).code ?? messageOf(e);
  }
}

/**
 * The accounts of this machine, looked up without blocking the event loop. A result is kept for three
 * seconds: a burst of sessions looks it up once, and a new or changed account is seen at once for all
 * practical purposes.
 */
export class Accounts {
  readonly #users = new Map<string, { readonly until: number; readonly user: Promise<OsUser | undefined> }>();
  readonly #passwords = new Map<
    string,
    { readonly until: number; readonly stamp: string; readonly line: Promise<PasswordLine | undefined> }
  >();
  readonly #starter: ProgramStarter;
  readonly #now: () => number;
  #ttyGroup: Promise<number | undefined> | undefined;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(starter: ProgramStarter, now: () => number = () => performance.now()) {
    this.#starter = starter;
    this.#now = now;
  }

  /**
   * Undefined when there is no such account.
   * @throws CodedError `unavailable` when the system does not answer.
   */
  user(name: string): Promise<OsUser | undefined> {
    const now = this.#now();
    const known = this.#users.get(name);
    if (known !== undefined && now < known.until) return known.user;
    for (const [key, entry] of this.#users) if (now >= entry.until) this.#users.delete(key);
    const user = readUser(this.#starter, name);
    this.#users.set(name, { until: now + CACHE_MS, user });
    user.catch(() => this.#users.delete(name)); // a failure is not remembered; the caller gets it
    return user;
  }

  /**
   * An account's line of shadow(5), or without one that of passwd(5); undefined when there is neither. Only
   * root can read the former. Looked up before each forward: a result is kept for three seconds as well, but
   * not beyond a change of the file.
   * @throws CodedError `unavailable` when the system does not answer.
   */
  async passwordLine(name: string): Promise<PasswordLine | undefined> {
    if (!askable.test(name)) return undefined;
    const stamp = await stampOf('/etc/shadow');
    const now = this.#now();
    const known = this.#passwords.get(name);
    if (known !== undefined && now < known.until && known.stamp === stamp) return known.line;
    for (const [key, entry] of this.#passwords) if (now >= entry.until) this.#passwords.delete(key);
    const entry = { until: now + CACHE_MS, stamp, line: readPasswordLine(this.#starter, name) };
    this.#passwords.set(name, entry);
    entry.line.catch(() => {
      if (this.#passwords.get(name) === entry) this.#passwords.delete(name);
    });
    return entry.line;
  }

  /** The group of terminals, or undefined where there is none. */
  ttyGroup(): Promise<number | undefined> {
    this.#ttyGroup ??= readGroupId(this.#starter, 'tty').catch((e: unknown) => {
      this.#ttyGroup = undefined;
      throw e;
    });
    return this.#ttyGroup;
  }
}
