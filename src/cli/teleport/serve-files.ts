import { serveScp } from '../../transfer/scp-server.ts';
import { serveSftp } from '../../transfer/sftp-server.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** `teleport scp -- -t|-f …`: the far side of a copy, as the person whose session started it. */
export const scp = (invocation: Invocation, io: CliIo): Promise<number> =>
  serveScp(invocation.rest('args'), { input: io.stdin, output: io.raw.stdout, home: process.cwd() });

/** `teleport sftp-server`: the sftp subsystem, as the person whose session started it. */
export const sftpServer = (_invocation: Invocation, io: CliIo): Promise<number> =>
  serveSftp({ input: io.stdin, output: io.raw.stdout, home: process.cwd() });
