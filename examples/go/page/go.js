// The page: first the door, where you say your name and the game, then the table with the board.

import { Board } from "./board.js";
import { Connection } from "./connection.js";

const find = (id) => document.getElementById(id);
const COLORS = ["black", "white"];
const STATUS = { connecting: "Connecting …", live: "Live", lost: "Connection lost, trying again …" };

const game = new URLSearchParams(location.search).get("game");
// Each tab has a player of its own, and a reload keeps it.
const kept = game === null ? null : sessionStorage.getItem(`player of ${game}`);

if (kept === null) showDoor();
else showTable(JSON.parse(kept));

function showDoor(refused = "") {
  const door = find("door");
  find("table").hidden = true;
  find("refused").hidden = !refused;
  find("refused").textContent = refused;
  find("status").textContent = "";
  door.hidden = false;
  door.game.value = game ?? `game-${Math.floor(1000 + Math.random() * 9000)}`;
  door.player.value = localStorage.getItem("player") ?? "";
  door.player.focus();
  door.addEventListener("submit", (event) => {
    event.preventDefault();
    const player = event.submitter?.value === "watch" ? "" : door.player.value.trim();
    if (player) localStorage.setItem("player", player);
    const chosen = door.game.value.trim();
    sessionStorage.setItem(`player of ${chosen}`, JSON.stringify({ player, size: door.size.value }));
    location.assign(`?game=${encodeURIComponent(chosen)}`);
  });
}

function showTable({ player, size }) {
  let state = null; // the game, as the server has shown it last
  let away = [];
  let watching = 0;

  const board = new Board(find("board"), move);
  find("table").hidden = false;
  find("game-id").textContent = game;
  find("invite").href = `?game=${encodeURIComponent(game)}`;
  find("pass").addEventListener("click", () => move("pass"));
  find("resign").addEventListener("click", () => confirm("Resign this game?") && move("resign"));

  const query = new URLSearchParams(player ? { player, size } : {});
  const connection = new Connection(`games/${encodeURIComponent(game)}/live?${query}`, {
    hear(message) {
      if (message.error) find("note").textContent = message.error;
      else {
        if (message.game.version !== state?.version) find("note").textContent = "";
        ({ game: state, away, watching } = message);
        show();
      }
    },
    tell(what) {
      find("status").textContent = STATUS[what];
      find("status").dataset.is = what;
      if (state) show();
    },
    refuse(reason) {
      sessionStorage.removeItem(`player of ${game}`);
      showDoor(reason);
    },
  });

  function move(text) {
    find("note").textContent = connection.send({ move: text }) ? "" : "There is no connection now. Try again soon.";
  }

  function show() {
    const mine = COLORS.find((color) => player && state.players[color] === player);
    const isLive = connection.socket.readyState === WebSocket.OPEN;
    const mayPlay = isLive && !state.result && mine === state.to_move;
    board.show(state, mayPlay ? mine : null);
    find("turn").textContent = sentence(mine);
    document.title = mayPlay ? `● ${game} · Go` : `${game} · Go`;
    for (const color of COLORS) showPlayer(color, mine);
    for (const id of ["moves", "ending"]) find(id).hidden = !mine || Boolean(state.result);
    find("pass").disabled = !mayPlay;
    find("resign").disabled = !isLive;
    find("last").textContent = state.moves ? `Move ${state.moves}: ${state.news}` : state.news;
    find("here").textContent = `${mine ? "" : "You watch this game. "}${watching ? `Watching: ${watching}` : ""}`;
  }

  function showPlayer(color, mine) {
    const card = find(color);
    card.querySelector(".name").textContent = state.players[color] ?? "free";
    card.querySelector(".who").textContent = color === mine ? "you" : away.includes(color) ? "away" : "";
    card.querySelector(".captures").textContent = `${state.captures[color]} captured`;
    card.classList.toggle("to-move", !state.result && state.to_move === color);
    card.classList.toggle("away", away.includes(color));
  }

  function sentence(mine) {
    const { players, result, score, to_move } = state;
    const [, winner, by] = /^([BW])\+(.+)$/.exec(result) ?? [];
    if (by === "R") return winner === "B" ? "White has resigned: Black wins." : "Black has resigned: White wins.";
    if (result) return `${{ B: "Black wins", W: "White wins" }[winner] ?? "A draw"}, ${score.black} to ${score.white}.`;
    if (players[to_move] === undefined) return "Wait for the other player.";
    return to_move === mine ? "It is your turn." : `It is ${players[to_move]}'s turn.`;
  }
}
