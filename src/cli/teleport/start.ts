import { fileURLToPath } from 'node:url';
import { type Configuration, readConfiguration } from '../../process/configuration.ts';
import { runDaemon } from '../../process/daemon.ts';
import { adoptInheritance } from '../../process/inheritance.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** `teleport start`: serves until a signal ends it. Answers 0 after an orderly stop. */
export async function start(invocation: Invocation, io: CliIo): Promise<number> {
  // Whatever whoever starts us had: no file of ours is for others, unless it says so itself.
  process.umask(0o077);
  const inheritance = adoptInheritance(process.env);
  // The configuration may hold secrets: no child inherits it. A successor is given it again.
  const { TELEPORT_CONFIG: configured } = process.env;
  delete process.env['TELEPORT_CONFIG'];
  const forSuccessor = configured === undefined ? {} : { TELEPORT_CONFIG: configured };
  const configuration = (): Configuration =>
    readConfiguration(
      {
        config: invocation.text('config'),
        configString: invocation.text('config-string'),
        roles: invocation.text('roles'),
        nodename: invocation.text('nodename'),
        listenIp: invocation.text('listen-ip'),
        advertiseIp: invocation.text('advertise-ip'),
        labels: invocation.text('labels'),
        pidFile: invocation.text('pid-file'),
        diagAddr: invocation.text('diag-addr'),
        debug: invocation.on('debug'),
        permitUserEnv: invocation.on('permit-user-env'),
        insecure: invocation.on('insecure'),
        insecureNoTls: invocation.on('insecure-no-tls'),
        authServers: invocation.list('auth-server'),
        token: invocation.text('token'),
        caPins: invocation.list('ca-pin'),
      },
      { ...io.env, ...forSuccessor },
    );
  await runDaemon(configuration, inheritance, {
    world: io.world,
    print: (line) => {
      if (!invocation.on('debug')) io.stdout.write(`${line}\n`);
    },
    programPath: [
      process.execPath,
      ...process.execArgv,
      fileURLToPath(new URL(import.meta.resolve(ownProgram()))),
    ],
    commandLine: ownCommandLine(),
    env: process.env,
    forSuccessor,
  });
  return 0;
}

/**
 * The launcher tells by what name it was called: a link that points elsewhere since then starts what is there now.
 * Without a launcher, node and what it was started with.
 */
function ownCommandLine(): string[] {
  const { TELEPORT_PROGRAM: launcher } = process.env;
  const program =
    launcher === undefined || launcher === ''
      ? [process.execPath, ...process.execArgv, process.argv[1] ?? '']
      : [launcher];
  return [...program, ...process.argv.slice(2)];
}

/** What node was started with: the bundle, or the source. */
const ownProgram = (): string => `file://${process.argv[1] ?? ''}`;
