// @lukehagar/plexjs. 0.39.0 has all four calls, but throws away what the media server
// answers to two of them, so that there is no more to verify than the status. 0.43.0 has
// just these two, with their data.
//
// node with_plexjs.mjs FOLDER VERSION TARGET
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [folder, version, argument] = process.argv.slice(2);
const { PlexAPI } = createRequire(`${folder}/`)(`plexjs-${version}`);
const target = JSON.parse(argument);
const api = { serverURL: `${target.url}/api/v2` };
const source = `server://${target.machine_identifier}`;

function verify(right) {
  if (!right) throw new Error("What came back is not what was asked for");
}

function old() {
  let token = "";
  const account = new PlexAPI({ accessToken: async () => token });
  const server = new PlexAPI({
    accessToken: target.server_token,
    serverURL: target.server_url,
  });
  return {
    async signIn() {
      const form = { login: target.username, password: target.password, rememberMe: true };
      const answer = await account.authentication.postUsersSignInData(
        { clientID: "plexjs", clientName: "Home Assistant", requestBody: form }, api);
      verify(answer.userPlexAccount.uuid === target.uuid);
      token = answer.userPlexAccount.authToken;
    },
    async getUser() {
      // It does not send the identifier without which plex.tv refuses.
      const headers = { "X-Plex-Client-Identifier": "plexjs" };
      const answer = await account.authentication.getTokenDetails({ ...api, headers });
      verify(answer.userPlexAccount.uuid === target.uuid);
    },
    async getTransientToken() {
      const answer = await server.authentication.getTransientToken("delegation", "all");
      verify(answer.statusCode === 200);
    },
    async getSource() {
      const answer = await server.authentication.getSourceConnectionInformation(source);
      verify(answer.statusCode === 200);
    },
  };
}

function recent() {
  const server = new PlexAPI({
    token: target.server_token,
    serverURL: target.server_url,
    clientIdentifier: "plexjs",
  });
  return {
    async getTransientToken() {
      const answer = await server.general.getTransientToken({ type: "delegation", scope: "all" });
      verify(answer.object.mediaContainer.token.startsWith("transient-"));
    },
    async getSource() {
      const answer = await server.general.getSourceConnectionInformation({ source });
      const { device } = answer.object.mediaContainer;
      verify(
        device.clientIdentifier === target.machine_identifier &&
          device.accessToken.length > 0 &&
          device.connection.length === target.connections,
      );
    },
  };
}

const operations = version === "0.39.0" ? old() : recent();

const actions = {
  async time_rows({ count }) {
    const seconds = [];
    for (let row = 0; row < count; row++) {
      const start = performance.now();
      for (const operation of Object.values(operations)) await operation();
      seconds.push((performance.now() - start) / 1000);
    }
    return seconds;
  },
  async call_rate({ concurrency, duration }) {
    const cpu = process.cpuUsage();
    const start = performance.now();
    const end = start + duration * 1000;
    let calls = 0;
    async function work() {
      while (performance.now() < end) {
        await operations.getSource();
        calls++;
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work));
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    return [calls / seconds, (user + system) / calls];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [action, values] = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await actions[action](values))}\n`);
}
// Connections that are kept alive would keep the process alive, too.
process.exit();
