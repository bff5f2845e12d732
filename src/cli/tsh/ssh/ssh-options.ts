import { CodedError } from '../../../base/errors.ts';

/** The options of OpenSSH that `tsh ssh -o` supports. */
export interface SshOptions {
  readonly addKeysToAgent: boolean;
  readonly forwardAgent: boolean;
  readonly requestTty: boolean;
  readonly strictHostKeyChecking: boolean;
}

const honoured = {
  AddKeysToAgent: 'addKeysToAgent',
  ForwardAgent: 'forwardAgent',
  RequestTTY: 'requestTty',
  StrictHostKeyChecking: 'strictHostKeyChecking',
} as const;

/** Options that ssh_config(5) knows and tsh does not support. */
const known: ReadonlySet<string> = new Set(
  (
    'AddressFamily BatchMode BindAddress CanonicalDomains CanonicalizeFallbackLocal CanonicalizeHostname ' +
    'CanonicalizeMaxDots CanonicalizePermittedCNAMEs CertificateFile ChallengeResponseAuthentication CheckHostIP ' +
    'Cipher Ciphers ClearAllForwardings Compression CompressionLevel ConnectionAttempts ConnectTimeout ' +
    'ControlMaster ControlPath ControlPersist DynamicForward EscapeChar ExitOnForwardFailure FingerprintHash ' +
    'ForwardX11 ForwardX11Timeout ForwardX11Trusted GatewayPorts GlobalKnownHostsFile GSSAPIAuthentication ' +
    'GSSAPIDelegateCredentials HashKnownHosts Host HostbasedAuthentication HostbasedKeyTypes HostKeyAlgorithms ' +
    'HostKeyAlias HostName IdentitiesOnly IdentityAgent IdentityFile IPQoS KbdInteractiveAuthentication ' +
    'KbdInteractiveDevices KexAlgorithms LocalCommand LocalForward LogLevel MACs Match ' +
    'NoHostAuthenticationForLocalhost NumberOfPasswordPrompts PasswordAuthentication PermitLocalCommand ' +
    'PKCS11Provider Port PreferredAuthentications Protocol ProxyCommand ProxyUseFdpass PubkeyAcceptedKeyTypes ' +
    'PubkeyAuthentication RekeyLimit RemoteForward RhostsRSAAuthentication RSAAuthentication SendEnv ' +
    'ServerAliveInterval ServerAliveCountMax SetEnv StreamLocalBindMask StreamLocalBindUnlink Tunnel TunnelDevice ' +
    'UpdateHostKeys UsePrivilegedPort User UserKnownHostsFile VerifyHostKeyDNS VisualHostKey XAuthLocation'
  ).split(' '),
);

/**
 * Reads options as for `-o`: `Name=value` or `Name value`. Unsupported ones go to `warn`.
 * @throws CodedError `bad_request` for a name that ssh does not know or a value that is not yes or no.
 */
export function parseSshOptions(texts: readonly string[], warn: (message: string) => void): SshOptions {
  const options = {
    addKeysToAgent: true,
    forwardAgent: false,
    requestTty: false,
    strictHostKeyChecking: true,
  };
  for (const text of texts) {
    const match = /^\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+)(.+?)\s*$/.exec(text);
    if (match === null) throw new CodedError('bad_request', `invalid option '${text}': expected Name=value`);
    const name = match[1] ?? '';
    const field = Object.entries(honoured).find(([option]) => option === name)?.[1];
    if (field !== undefined) options[field] = yesNo(name, match[2] ?? '');
    else if (known.has(name)) warn(`WARNING: Option '${name}' is not supported.`);
    else throw new CodedError('bad_request', `unsupported option key: ${name}`);
  }
  return options;
}

function yesNo(name: string, value: string): boolean {
  if (/^(yes|true|on|1)$/i.test(value)) return true;
  if (/^(no|false|off|0)$/i.test(value)) return false;
  throw new CodedError('bad_request', `option ${name}: expected yes or no, got '${value}'`);
}
