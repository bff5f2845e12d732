import { describe, expect, it } from 'vitest';
import { configQuote, formatSshConfig } from './ssh-config.ts';

const config = {
  clusterName: 'example',
  proxyHost: 'proxy',
  ssh: { host: 'proxy', port: 3023 },
  proxyLogin: 'root',
  knownHostsFile: '/home/joe x/.tsh/known_hosts',
  identityFile: '/home/joe x/.tsh/keys/proxy/joe',
  certificateFile: '/home/joe x/.tsh/keys/proxy/joe-cert.pub',
};

describe('printing an ssh_config', () => {
  it('quotes paths, and doubles % where ssh expands it', () => {
    const text = formatSshConfig({ ...config, identityFile: '/a b/100%/k' });
    expect(text).toContain('    IdentityFile "/a b/100%%/k"\n');
    expect(text).toContain(`-o 'IdentityFile="/a b/100%%%%/k"'`);
  });
  it('keeps the proxy out of the block for nodes', () => {
    expect(formatSshConfig(config)).toContain(
      `Host *.example !proxy "!*'*" "!*\\*" "!*!*"\n    Port 3022\n    ProxyCommand sh -c `,
    );
  });
  it('puts nothing but host and port into the command that a shell reads, each in single quotes', () => {
    const command =
      /ProxyCommand (.*)/.exec(formatSshConfig({ ...config, proxyLogin: "a'b$(c)" }))?.[1] ?? '';
    expect(command.replaceAll('%%', '').match(/%./g)).toEqual(['%h', '%p']);
    expect(command).toContain(" sh '%h' '%p' ");
    expect(command).toContain(`-l 'a'\\''b$(c)'`);
  });
  it('has tsh make the connection where ssh does not get to the port', () => {
    const tsh = { program: 'tsh', proxy: 'proxy:443', user: "o'joe", home: '/a b/100%' };
    const text = formatSshConfig({ ...config, tsh });
    expect(text).toContain(
      "    ProxyCommand env 'TSH_HOME=/a b/100%%' tsh proxy ssh --proxy=proxy:443 " +
        "'--user=o'\\''joe' --cluster=example '%h:%p'\n",
    );
    expect(text).not.toContain('ssh -J');
  });
  it.each(['a"b', 'a\nProxyCommand x', '/${HOME}/x'])('refuses a path that cannot be written: %j', (path) => {
    expect(() => configQuote(path)).toThrow('cannot be written into an ssh_config');
  });
  it('refuses a cluster whose name would be a pattern', () => {
    expect(() => formatSshConfig({ ...config, clusterName: '*' })).toThrow('as a host');
  });
});
