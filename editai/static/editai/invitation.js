// Takes up an invitation: the secret stands behind the # of the address, so no server log ever holds it.
const form = document.getElementById("accept");
const said = document.getElementById("said");

const tell = (text) => {
  said.textContent = text;
  said.hidden = false;
};

const problems = (error) => [error.message, ...Object.values(error.fields ?? {}).flat()].join(" ");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = Object.fromEntries(new FormData(form));
  body.token = location.hash.slice(1);
  try {
    const answer = await fetch(form.dataset.url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": form.dataset.csrf },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      location.assign("/");
      return;
    }
    tell(problems((await answer.json()).error));
  } catch {
    tell("The server cannot be reached. Try again.");
  }
});

// without a secret there is nothing to join; the button comes disabled, so that it is so without this script as well
const look = () => {
  const isComplete = location.hash.length > 1;
  form.querySelector("button").disabled = !isComplete;
  said.hidden = isComplete;
  if (!isComplete) tell("This link is not complete: open it exactly as you got it.");
};

window.addEventListener("hashchange", look);
look();
