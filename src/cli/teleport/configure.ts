import { hostname } from 'node:os';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/** `teleport configure`: a sample file that `teleport start` accepts unchanged. */
export function configure(_invocation: Invocation, io: CliIo): Promise<number> {
  io.stdout.write(`#
# Sample configuration. Save it as /etc/teleport.yaml.
#
teleport:
  nodename: ${hostname()}
  data_dir: /var/lib/teleport
  # For a machine that joins an auth server elsewhere (auth_service: enabled: "no"):
  # auth_servers: [auth.example.com:3025]
  # auth_token: /var/lib/teleport.token
  # ca_pin: "sha256:..."
  log:
    output: stderr
    severity: INFO
  storage:
    type: dir
auth_service:
  enabled: "yes"
  listen_addr: 0.0.0.0:3025
  # cluster_name: example.com
  authentication:
    type: local
    second_factor: otp
ssh_service:
  enabled: "yes"
  listen_addr: 0.0.0.0:3022
  labels:
    env: staging
  commands:
  - name: hostname
    command: [hostname]
    period: 1m0s
  - name: arch
    command: [uname, -p]
    period: 1h0m0s
proxy_service:
  enabled: "yes"
  listen_addr: 0.0.0.0:3023
  web_listen_addr: 0.0.0.0:3080
  # public_addr: proxy.example.com:3080
`);
  return Promise.resolve(0);
}
